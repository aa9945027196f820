import numpy as np
import pytest
import sklearn.metrics

from sesemi.inference import metrics


def test_classes_are_those_of_scikit_learn(rng):
    probs = rng.dirichlet(np.ones(3), 200)
    labels = np.where(rng.random(200) < 0.5, probs.argmax(axis=1), rng.integers(0, 3, 200))
    rows = metrics.by_class(probs, labels, "abc")
    precision, recall, f1, images = sklearn.metrics.precision_recall_fscore_support(labels, probs.argmax(axis=1))
    np.testing.assert_allclose([row["precision"] for row in rows], 100 * precision)
    np.testing.assert_allclose([row["recall"] for row in rows], 100 * recall)
    np.testing.assert_allclose([row["f1"] for row in rows], 100 * f1)
    np.testing.assert_allclose([row["error"] for row in rows], 100 - 100 * recall)
    assert [row["images"] for row in rows] == images.tolist()


def test_what_is_never_there_or_never_said_has_no_share():
    # Two of class a are taken for a and one for b; all four of class c are taken for a; none is of class b.
    labels, said = np.repeat([0, 0, 2], [2, 1, 4]), np.repeat([0, 1, 0], [2, 1, 4])
    rows = metrics.by_class(np.eye(3)[said], labels, "abc")
    assert [(row["error"], row["precision"], row["recall"]) for row in rows] == [
        (pytest.approx(100 / 3), pytest.approx(100 / 3), pytest.approx(200 / 3)),
        (None, 0.0, None),
        (100.0, None, 0.0),
    ]


def test_confusions_are_named_most_frequent_first():
    found = metrics.confusions(np.array([[9, 1, 0], [3, 9, 0], [0, 2, 9]]), "abc")
    assert [(row["true"], row["predicted"], row["images"]) for row in found] == [
        ("b", "a", 3),
        ("c", "b", 2),
        ("a", "b", 1),
    ]


def test_confusion_counts_true_classes_in_rows():
    probs, labels = np.eye(3)[[0, 0, 1, 2]], np.array([0, 1, 1, 1])
    assert metrics.confusion(probs, labels).tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert metrics.confusion(np.empty((0, 3)), np.empty(0, int)).tolist() == [[0] * 3] * 3


@pytest.mark.parametrize(
    ("wrong", "images", "ends"),
    # Agresti and Coull 1998 give the formula; these are R's prop.test(..., correct = FALSE).
    [(9, 75, (6.44, 21.26)), (0, 10, (0.0, 27.75)), (10, 10, (72.25, 100.0)), (1, 2, (9.45, 90.55))],
)
def test_the_interval_of_an_error_is_wilsons(wrong, images, ends):
    assert metrics.wilson_percent(wrong, images) == pytest.approx(ends, abs=0.005)


def test_no_test_image_has_no_interval():
    assert metrics.wilson_percent(0, 0) is None
