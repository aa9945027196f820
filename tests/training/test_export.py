"""The exported model: what it takes, and what its users can do with it."""

import keras
import numpy as np
import pytest

from sesemi.training import export
from sesemi.training.classifier import Classifier
from tests.conftest import tiny_trunk


@pytest.fixture
def classifier():
    return Classifier(tiny_trunk(0.2), 3)


def test_a_teacher_can_be_trained_once_it_is_exported(classifier):
    """As a fresh Keras model can; only what prepares the pixels is frozen."""
    exported = export.build(classifier.frozen_copy("teacher"))
    student = export.build(classifier)
    names = [v.name for v in student.trainable_variables]
    assert [v.name for v in exported.trainable_variables] == names
    assert len(names) == len(classifier.trainable_variables)
    exported.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = [v.numpy() for v in exported.trainable_variables]
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 2)).astype(np.uint8)
    exported.fit(images, np.arange(6) % 3, verbose=0)
    assert all((v.numpy() != old).any() for v, old in zip(exported.trainable_variables, before, strict=True))


def test_floats_answer_as_the_same_pixels(classifier, rng, tmp_path):
    exported = export.build(classifier)
    pixels = rng.integers(0, 256, (4, 8, 8, 2)).astype(np.uint8)
    np.testing.assert_array_equal(exported(pixels), exported(pixels.astype(np.float32)))
    np.testing.assert_array_equal(exported.predict(pixels, verbose=0), exported.predict(np.float64(pixels), verbose=0))
    # Between two whole numbers the answer lies elsewhere: nothing is cut off.
    assert (np.asarray(exported(pixels + 0.5 * (pixels % 2))) != np.asarray(exported(pixels))).any()
    np.testing.assert_allclose(exported(pixels / 255.0), exported(pixels), atol=1e-4)
