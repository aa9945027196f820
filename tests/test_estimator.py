"""The scikit-learn estimator; what of scikit-learn's own checks applies to images.

`check_estimator` gives every estimator tables ``[N, F]``. This one takes images ``[N, H, W, C]``, says so by its tags,
and is then asked only whether it can be cloned. Below, those of its checks that need no data are called one by one; the
others (`check_fit2d_*`, `check_estimators_nan_inf`, `check_classifiers_train`, …) make tables of floats and do not
apply; for images their substance is tested here: shapes, dtypes, labels, not fitted, repeated and copied.
"""

import pickle

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks

from sesemi import METHODS, SemiSupervisedClassifier, estimator
from sesemi.errors import InputError

SHORT = {"epochs": 2, "steps_per_epoch": 8, "batch_size": 8, "labeled_batch_size": 8, "shift": 0}


class NA:
    """As the NA of pandas, it says of no comparison whether it is true."""

    def __eq__(self, other):
        return self

    __ne__, __hash__ = __eq__, None

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


@pytest.fixture(scope="module")
def images():
    """Three patterns with noise, 8 x 8 grey; a third of the labels is seen."""
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    patterns = rng.integers(40, 216, (3, 8, 8, 1))
    pixels = (patterns[labels] + rng.integers(-30, 31, (90, 8, 8, 1))).astype(np.uint8)
    seen = labels.copy()
    seen[30:] = -1
    return pixels, labels, seen


@pytest.fixture(scope="module")
def fitted(images):
    pixels, _, seen = images
    return SemiSupervisedClassifier(method="mean_teacher", **SHORT).fit(pixels, seen)


def test_it_learns_from_both_and_answers_as_scikit_learn_does(fitted, images):
    pixels, labels, _ = images
    probs = fitted.predict_proba(pixels)
    assert probs.shape == (90, 3)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(fitted.predict(pixels), fitted.classes_[probs.argmax(axis=1)])
    assert fitted.score(pixels, labels) > 0.7
    hidden = labels.copy()
    hidden[:50] = -1
    assert fitted.score(pixels, hidden) == np.mean(fitted.predict(pixels[50:]) == labels[50:])
    with pytest.raises(ValueError, match="every label is -1"):
        fitted.score(pixels, np.full(90, -1))
    assert fitted.model_.input_shape == (None, 8, 8, 1)
    np.testing.assert_array_equal(fitted.model_.predict(pixels[:5], verbose=0).argmax(1), probs[:5].argmax(1))


def test_fitted_again_it_is_the_same_and_the_process_too(fitted, images):
    pixels, _, seen = images
    np.random.seed(11)
    state, policy = np.random.get_state()[1].copy(), keras.config.dtype_policy()
    again = clone(fitted).fit(pixels, seen)
    np.testing.assert_array_equal(again.predict_proba(pixels), fitted.predict_proba(pixels))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert keras.config.dtype_policy() == policy


def test_a_pickle_answers_the_same(fitted, images):
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict_proba(images[0]), fitted.predict_proba(images[0]))
    assert copied.get_params() == fitted.get_params()


def test_labels_may_be_names(images):
    pixels, _, seen = images
    names = np.array(["cat", "dog", "eel"], object)[seen]
    names[seen < 0] = -1
    classifier = SemiSupervisedClassifier(method="supervised", **SHORT).fit(pixels, names)
    assert classifier.classes_.tolist() == ["cat", "dog", "eel"]
    assert set(classifier.predict(pixels)) <= {"cat", "dog", "eel"}


@pytest.mark.parametrize(
    ("labels", "classes", "encoded"),
    [
        (["b", "a", -1, "b"], ["a", "b"], [1, 0, -1, 1]),
        (np.array([5, 3, -1, 5], object), [3, 5], [1, 0, -1, 1]),
        (np.array([5.0, 3.0, -1.0, 5.0]), [3.0, 5.0], [1, 0, -1, 1]),
        ((True, False, -1, True), [False, True], [1, 0, -1, 1]),
        (np.array([1, 0, 1, 1], np.uint8), [0, 1], [1, 0, 1, 1]),
    ],
)
def test_labels_of_every_kind(labels, classes, encoded):
    found, names = estimator._encode(labels, 4)
    assert (found.tolist(), names.tolist()) == (encoded, classes)
    assert found.dtype == np.int32
    assert type(names.tolist()[0]) is type(classes[0])
    hidden, known = estimator._labels(labels)
    assert hidden.tolist() == [label == -1 for label in encoded]
    assert set(known.tolist()) == set(classes)


def test_numbers_in_an_array_of_objects_are_scored(fitted, images):
    pixels, labels, _ = images
    assert fitted.score(pixels, labels.astype(object)) == fitted.score(pixels, labels)


def test_images_without_a_label_have_no_weight(fitted, images):
    pixels, labels, _ = images
    hidden, weight = labels.copy(), np.arange(1.0, 91.0)
    hidden[::2] = -1
    # So that some answers are wrong, however well it has learned.
    hidden[1:20:2] = np.roll(hidden[1:20:2], 1)
    right = fitted.predict(pixels[1::2]) == hidden[1::2]
    expected = np.average(right, weights=weight[1::2])
    assert fitted.score(pixels, hidden, sample_weight=weight) == pytest.approx(expected)
    assert expected != pytest.approx(right.mean())


def test_fitted_to_something_else_it_answers_that(images):
    pixels, _, seen = images
    how = {"method": "supervised", **SHORT}
    classifier = SemiSupervisedClassifier(**how).fit(pixels, seen)
    classifier.predict(pixels)
    other = np.where(seen < 0, -1, 2 - seen)
    classifier.fit(pixels, other)
    alone = SemiSupervisedClassifier(**how).fit(pixels, other)
    np.testing.assert_array_equal(classifier.predict_proba(pixels), alone.predict_proba(pixels))


def test_a_fit_that_fails_leaves_what_was_fitted(images):
    pixels, _, seen = images
    how = {"method": "supervised", **SHORT, "epochs": 1}
    classifier = SemiSupervisedClassifier(**how).fit(pixels, seen)
    before = classifier.predict(pixels)
    with pytest.raises(InputError):
        classifier.set_params(network="bogus").fit(pixels, np.where(seen < 0, -1, seen + 7))
    np.testing.assert_array_equal(classifier.predict(pixels), before)
    unfitted = SemiSupervisedClassifier(network="bogus")
    with pytest.raises(InputError):
        unfitted.fit(pixels, seen)
    with pytest.raises(NotFittedError):
        unfitted.predict(pixels)


def test_a_grid_search(images):
    pixels, labels, _ = images
    search = GridSearchCV(
        SemiSupervisedClassifier(method="pseudo_label", **SHORT | {"epochs": 1}),
        [{"arguments": [{"weight": 0.0}]}, {"learning_rate": [0.01]}],
        cv=2,
    ).fit(pixels, labels)
    assert len(search.cv_results_["mean_test_score"]) == 2
    assert [sorted(how) for how in search.cv_results_["params"]] == [["arguments"], ["learning_rate"]]
    assert search.predict(pixels[:4]).shape == (4,)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
    ],
    ids=lambda check: check.__name__,
)
def test_the_checks_of_scikit_learn_that_need_no_table(check):
    check("SemiSupervisedClassifier", SemiSupervisedClassifier())


def test_check_estimator_agrees():
    with pytest.warns(match="Can't test estimator"):
        results = estimator_checks.check_estimator(SemiSupervisedClassifier(), on_fail=None)
    assert {result["status"] for result in results} == {"passed"}


def test_not_fitted():
    with pytest.raises(NotFittedError):
        SemiSupervisedClassifier().predict(np.zeros((1, 8, 8, 1), np.uint8))


IMAGES = np.zeros((4, 8, 8, 3), np.uint8)
LABELS = np.array([0, 1, 0, -1])


@pytest.mark.parametrize(
    ("pixels", "labels", "words"),
    [
        (np.zeros((4, 64)), LABELS, r"images \[N, H, W, C\] are needed, got an array of shape \(4, 64\)"),
        (IMAGES[..., :0], LABELS, "shape"),
        (IMAGES / 255.0 + 0.5, LABELS, "whole numbers in 0 … 255"),
        (IMAGES.astype(int) - 1, LABELS, "whole numbers"),
        (IMAGES.astype(complex), LABELS, "complex"),
        (IMAGES + np.nan, LABELS, "whole numbers"),
        (IMAGES, LABELS[:3], "a label for each of 4"),
        (IMAGES, np.array([0, 0, -1, -1]), "at least two classes are needed, got 1"),
        (IMAGES, np.full(4, -1), "got 0"),
        (IMAGES, np.array(["a", "b", "-1", "-1"]), "hold the text '-1'; give -1 as a number"),
        (IMAGES, [0.0, 1.0, float("nan"), -1], "None, NaN or NA"),
        (IMAGES, np.array(["a", None, "b", -1], object), "None, NaN or NA"),
        (IMAGES, ["a", NA(), "b", -1], "None, NaN or NA"),
        (IMAGES, ["a", 1, "b", -1], "text and numbers"),
        (IMAGES, np.array([0.5, 1.0, 0.5, -1]), "continuous"),
        (IMAGES, LABELS[:, None], "an array of shape"),
        (IMAGES, [b"a", b"b", b"a", -1], "numbers or text, got bytes"),
        (IMAGES, np.array(["2026-01-01"] * 4, "datetime64[D]"), "numbers or text, got date"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_image_or_label_is_refused(pixels, labels, words):
    with pytest.raises(ValueError, match=words):
        SemiSupervisedClassifier().fit(pixels, labels)


def test_numbers_of_numpy_are_numbers(images):
    how = {
        "method": np.str_("vat"),
        "epochs": np.int64(3),
        "learning_rate": np.float32(0.25),
        "flip": np.bool_(True),
        "arguments": {"weight": np.float64(2.0), "power_iterations": np.int32(1)},
        "settings": {"cutout": np.float64(0.5)},
    }
    config = SemiSupervisedClassifier(**how)._config(images[0])
    assert (config.epochs, config.learning_rate, config.flip, config.cutout) == (3, 0.25, True, 0.5)
    assert [type(value) for value in config.arguments.values()] == [float, int]


def test_settings_that_cannot_be_are_refused(fitted, images):
    for how, words in (
        ({"method": "nothing"}, "^method=nothing: choose from"),
        ({"network": "wrn", "settings": {"promote": "balanced"}}, "'promote'.*only for runs in folders"),
        ({"settings": {"labels": 40}}, "'labels'.*only for runs in folders"),
        ({"settings": {"seed": 40}}, "'seed'.*argument of its own; give random_state="),
        ({"settings": {"epochs": 4}}, "'epochs'.*argument of its own; give epochs="),
        ({"settings": {"gpu": "0"}}, "'gpu'.*only for runs in folders"),
        ({"learning_rate": -1.0}, "^learning_rate=-1.0: must lie above 0.0 to 1000000.0$"),
        ({"method": "vat", "arguments": {"weight": -1.0}}, "^arguments.weight=-1.0: a number from 0"),
        ({"settings": {"momentun": 1}}, "unknown setting 'momentun'"),
        ({"method": "vat", "arguments": {"weigth": 1}}, "no such argument"),
    ):
        with pytest.raises((ValueError, InputError), match=words):
            SemiSupervisedClassifier(**how).fit(images[0], images[2])
    with pytest.raises(ValueError, match=r"images of \(8, 8, 1\) were fitted"):
        fitted.predict(IMAGES)


def test_whole_floats_and_random_states_are_taken(images):
    pixels, _, seen = images
    how = {"method": "supervised", **SHORT, "epochs": 1}
    classifier = SemiSupervisedClassifier(random_state=np.random.RandomState(3), **how)
    assert classifier.fit(pixels.astype(np.float64), seen).predict(pixels).shape == (90,)
    assert (
        SemiSupervisedClassifier(random_state=None, **how)._seed()
        != SemiSupervisedClassifier(random_state=None)._seed()
    )
    assert set(METHODS) >= {"supervised", "mean_teacher"}
