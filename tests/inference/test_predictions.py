import keras
import numpy as np
import pytest

from sesemi import models
from sesemi.augmentation.views import Augmentation
from sesemi.inference import metrics, predictions
from sesemi.training import export, preprocess
from sesemi.training.classifier import Classifier


@pytest.mark.parametrize("count", [1, predictions.BATCH - 1, predictions.BATCH, 2 * predictions.BATCH + 3])
def test_every_image_is_classified_exactly_once(count):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    shapes = []

    def classify(batch):
        shapes.append(batch.shape)
        return np.stack([batch[:, 0, 0, 0], batch[:, 1, 1, 0]], axis=1).astype(np.float32)

    probs = predictions.probabilities(classify, images)
    np.testing.assert_array_equal(probs[:, 0], images[:, 0, 0, 0])
    assert set(shapes) == {(predictions.BATCH, 2, 2, 1)}


def test_errors_of_a_small_case():
    probs = np.array([[0.9, 0.1, 0], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3]])
    labels = np.array([0, 1, 1, 0])
    assert metrics.error_percent(probs, labels) == 25.0
    matrix = metrics.confusion(probs, labels)
    np.testing.assert_array_equal(matrix, [[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    assert metrics.class_errors_percent(matrix) == [0.0, 50.0, None]


@pytest.fixture(scope="module")
def exported():
    keras.utils.set_random_seed(0)
    classifier = Classifier(models.build("mini", (8, 8, 1)), 3)
    classifier.head.kernel.assign(0.05 * classifier.head.kernel)
    return export.build(classifier)


def test_one_view_without_shift_noise_or_flip_is_plain_prediction(exported, rng):
    images = rng.integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    plain = predictions.probabilities(exported, images)
    averaged = predictions.multi_view_probabilities(exported, images, Augmentation(shift=0, flip=False, noise=0.0))
    np.testing.assert_allclose(averaged, plain, rtol=1e-5, atol=1e-6)


def test_views_are_averaged_over_the_mirrored_ones_where_mirroring_keeps_the_class(exported, rng):
    images = rng.integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    averaged = predictions.multi_view_probabilities(exported, images, Augmentation(shift=0, flip=True, noise=0.0))
    both = [predictions.probabilities(exported, part) for part in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(averaged, np.mean(both, axis=0), rtol=1e-5, atol=1e-6)


def test_views_come_from_a_fixed_seed_and_use_shift_and_noise(exported, rng):
    images = rng.integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    first, again = (predictions.multi_view_probabilities(exported, images, Augmentation()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for other in (Augmentation(shift=0), Augmentation(noise=0.0), Augmentation(flip=False)):
        assert np.abs(predictions.multi_view_probabilities(exported, images, other) - first).max() > 1e-4


def test_jitter_is_never_zero_along_an_axis():
    offsets = np.concatenate([np.asarray(predictions._jitter(number, 2)) for number in range(10)])
    assert set(np.unique(offsets)) == {-2, -1, 1, 2}
    assert np.abs(np.unique(offsets, return_counts=True)[1] / 1000 - 1).max() < 0.15


@pytest.mark.parametrize("whiten", [False, True])
def test_export_has_stock_layers_and_the_answers_of_the_trained_model(rng, whiten, tmp_path):
    images = rng.integers(0, 256, (30, 8, 8, 2)).astype(np.uint8)
    layers = preprocess.build((8, 8, 2), whiten=whiten)
    if whiten:
        preprocess.set_whitening(layers, preprocess.fit_whitening(images))
    classifier = Classifier(models.build("mini", (8, 8, 2), 0.1), 4, preprocess=layers)
    classifier.trunk(layers(images), training=True)
    model = export.build(classifier)
    export.save(model, tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = keras.ops.softmax(classifier(layers(images)))
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)
    assert all(type(layer).__module__.startswith("keras.") for layer in loaded._flatten_layers())
