import numpy as np
import pytest

from sesemi.datasets import lazy_images


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (9, 4, 5, 3)).astype(np.uint8)


def test_joined_images_are_indexed_like_one_array(images, tmp_path):
    np.save(tmp_path / "x.npy", images[3:7])
    joined = lazy_images.Joined(images[:3], lazy_images.NumpyFile(tmp_path / "x.npy"), images[7:])
    assert (len(joined), joined.shape, joined.dtype, joined.nbytes) == (9, images.shape, np.uint8, images.nbytes)
    for index in (np.array([8, 0, 3, 3, 6, 2, 7]), np.array([4]), np.array([], int), slice(1, 8, 2), slice(None)):
        np.testing.assert_array_equal(joined[index], images[index])


def test_some_of_an_array_are_moved_to_its_front(images, monkeypatch):
    monkeypatch.setattr(lazy_images, "_CHUNK", 2)
    whole, kept = images.copy(), np.array([0, 2, 3, 7, 8])
    found = lazy_images.compact(images, kept)
    np.testing.assert_array_equal(found, whole[kept])
    assert np.shares_memory(found, images)
    np.testing.assert_array_equal(lazy_images.only(whole, kept), whole[kept])
