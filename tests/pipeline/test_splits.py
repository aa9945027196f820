import json

import numpy as np
import pytest

from sesemi.pipeline import splits
from tests.messages import refused


@pytest.fixture
def labels():
    return np.random.default_rng(0).permutation(np.repeat(np.arange(5), [40, 50, 60, 70, 80]))


def test_split_is_balanced_and_a_function_of_labels_count_and_seed(labels):
    first, again, other = (splits.split(labels, 50, seed, classes="01234") for seed in (1, 1, 2))
    assert np.bincount(labels[first.labeled]).tolist() == [10] * 5
    assert first.digest == again.digest != other.digest
    assert (np.diff(first.labeled) > 0).all()
    np.testing.assert_array_equal(first.unlabeled, np.arange(300))


def test_split_does_not_depend_on_the_global_random_state(labels):
    np.random.seed(0)
    first = splits.split(labels, 50, 1, classes="01234")
    np.random.seed(1)
    assert splits.split(labels, 50, 1, classes="01234").digest == first.digest


@pytest.mark.parametrize("count", ["all", 300])
def test_all_labels_keep_every_image_even_unbalanced(labels, count):
    np.testing.assert_array_equal(splits.split(labels, count, 0, classes="01234").labeled, np.arange(300))


def test_exclude_labeled(labels):
    found = splits.split(labels, 50, 1, classes="01234", exclude_labeled=True)
    assert not set(found.labeled) & set(found.unlabeled)
    assert len(found.unlabeled) == 250


def test_validation_is_held_out_of_both_pools(labels):
    whole = splits.split(labels, 50, 1, classes="01234")
    found = splits.split(labels, 50, 1, classes="01234", validation=0.2)
    assert np.bincount(labels[found.validation]).tolist() == [2] * 5
    assert not set(found.validation) & (set(found.labeled) | set(found.unlabeled))
    assert sorted([*found.validation, *found.labeled]) == whole.labeled.tolist()


@pytest.mark.parametrize(
    ("count", "options", "words"),
    [
        (51, {}, "use 50 or 55"),
        (0, {}, "at least one image a class"),
        (305, {}, "only 300 training images"),
        (250, {}, "class 0 has only 40 images, 50 are needed"),
        (5, {"validation": 0.5}, "class 0 has one labeled image and has none to spare"),
        ("all", {"exclude_labeled": True}, "no image is left"),
    ],
)
def test_impossible_splits_are_refused(labels, count, options, words):
    with refused(words):
        splits.split(labels, count, 0, classes="01234", **options)


def test_more_labels_than_there_are_is_said_of_labels():
    labels = np.concatenate([np.repeat(np.arange(5), 20), np.full(1562, -1)])
    with refused("only 100 of 1662 training images have a label; use 100 or all"):
        splits.split(labels, 2000, 0, classes=list("abcde"))
    with refused("there are only 100 training images"):
        splits.split(labels[:100], 2000, 0, classes="abcde")


def test_a_missing_class_is_refused_and_not_dropped(labels):
    with refused("class 5 has only 0 images"):
        splits.split(labels, 60, 0, classes="012345")


def test_json_holds_the_indices_and_the_hash(labels):
    found = splits.split(labels, 50, 1, classes="01234")
    text = json.loads(found.to_json())
    assert text["labeled"] == found.labeled.tolist()
    assert text["sha256"] == found.digest


def test_images_without_labels_given_validation_and_extra_ones():
    labels = np.array([0, 1, 0, 1, -1, -1, 0, 1, 0, -1, -1])
    how = {"classes": "01", "given_validation": np.array([6, 7]), "extra": 2}
    split = splits.split(labels, "all", 0, **how)
    assert split.labeled.tolist() == [0, 1, 2, 3, 8]
    assert split.validation.tolist() == [6, 7]
    assert split.unlabeled.tolist() == [0, 1, 2, 3, 4, 5, 8]
    split = splits.split(labels, 2, 0, exclude_labeled=True, **how)
    assert len(split.labeled) == 2
    assert sorted(labels[split.labeled]) == [0, 1]
    assert len(split.unlabeled) == 5
    with refused("have validation"):
        splits.split(labels, "all", 0, validation=0.5, **how)
    chosen = (np.array([0, 1, 4]), np.array([], int))
    with refused("image 4 has no label"):
        splits.split(labels, "file", 0, chosen=chosen, **how)
    for theirs in ([], [6, 7]):
        split = splits.split(labels, "file", 0, chosen=(np.array([0, 1]), np.array(theirs, int)), **how)
        assert split.validation.tolist() == [6, 7]
    with refused("not those that the data have"):
        splits.split(labels, "file", 0, chosen=(np.array([0, 1]), np.array([2])), **how)
