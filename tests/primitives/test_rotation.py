import numpy as np
import pytest

from sesemi.primitives import rotation


def test_six_views_are_numpys_in_the_order_of_2019(rng):
    images = rng.normal(size=(3, 5, 5, 2)).astype(np.float32)
    views = np.asarray(rotation.six_views(images)).reshape(6, 3, 5, 5, 2)
    for index, image in enumerate(images):
        for k in range(4):
            np.testing.assert_array_equal(views[k, index], np.rot90(image, k))
        np.testing.assert_array_equal(views[4, index], np.fliplr(image))
        np.testing.assert_array_equal(views[5, index], np.flipud(image))


def test_six_labels_fit_the_views():
    np.testing.assert_array_equal(rotation.six_labels(3), np.repeat(np.arange(6), 3))


def test_views_of_an_asymmetric_image_are_distinct_and_consistent(rng):
    views = np.asarray(rotation.six_views(rng.normal(size=(1, 4, 4, 1)).astype(np.float32)))
    assert len({view.tobytes() for view in views}) == 6
    np.testing.assert_array_equal(views[5], np.rot90(views[4], 2))


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="4 x 5"):
        rotation.six_views(np.zeros((1, 4, 5, 1), np.float32))
