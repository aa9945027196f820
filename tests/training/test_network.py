"""How a method calls student and teacher: whose statistics normalize, and whose averages move."""

import keras
import numpy as np
import pytest

from sesemi.training.classifier import Classifier
from sesemi.training.network import Network
from tests.conftest import tiny_trunk


@pytest.fixture
def classifier():
    keras.utils.set_random_seed(0)
    return Classifier(tiny_trunk(0.0), 3, dropout=0.0)


@pytest.fixture
def images(rng):
    return rng.normal(3.0, 2.0, (5, 8, 8, 2)).astype(np.float32)


def averages(classifier):
    return [v.numpy() for v in classifier.non_trainable_variables if "moving" in v.path]


def test_a_teacher_normalizes_by_its_averages_or_by_the_batch_as_asked(classifier, images):
    teacher = Network(classifier.frozen_copy("teacher"), training=False)
    by_averages, by_batch = (np.asarray(teacher(images, training=training)) for training in (None, True))
    np.testing.assert_allclose(by_averages, np.asarray(classifier(images, training=False)), rtol=1e-5)
    np.testing.assert_allclose(by_batch, np.asarray(classifier(images, training=True)), rtol=1e-5)
    assert np.abs(by_averages - by_batch).max() > 0.1


@pytest.mark.parametrize(
    ("training", "moves", "moved"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_averages_move_only_in_a_training_call_that_may(classifier, images, training, moves, moved):
    before = averages(classifier)
    Network(classifier, training=training)(images, moves_averages=moves)
    assert any((a != b).any() for a, b in zip(before, averages(classifier), strict=True)) == moved


def test_averages_of_a_teacher_never_move(classifier, images):
    copy = classifier.frozen_copy("teacher")
    before = averages(copy)
    Network(copy, training=False)(images, training=True)
    for a, b in zip(before, averages(copy), strict=True):
        np.testing.assert_array_equal(a, b)


def test_joint_batches_are_normalized_together_and_separate_ones_apart(classifier, images):
    other = images * 3
    joint, apart = (
        Network(classifier, joint=joint).together(images, other, moves_averages=False) for joint in (True, False)
    )
    np.testing.assert_allclose(apart[0], np.asarray(classifier(images, training=True)), rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(joint[0]) - np.asarray(apart[0])).max() > 0.1
