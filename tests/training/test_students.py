"""Several students in one fit: who teaches whom, what is forgotten, and what a resume knows."""

import keras
import numpy as np
import pytest

from sesemi.inference import predictions
from sesemi.primitives import losses

ROUNDS, TOTAL = 1, 8
BORN = TOTAL // 2


def noisy(small, **arguments):
    return small.model("noisy_student", rounds=ROUNDS, total_steps=TOTAL, **arguments)


def trained(model):
    return [variable.numpy() for variable in model.classifier.trainable_variables]


def test_the_first_student_learns_from_labels_alone(small):
    model, supervised = noisy(small), small.model("supervised", total_steps=TOTAL)
    for each in (model, supervised):
        small.fit(each, stop=BORN)
    for a, b in zip(trained(model), trained(supervised), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not model.method.said.numpy().any()


def test_the_teacher_answers_for_all_images_before_a_new_student_is_born(small):
    model = noisy(small, threshold=0.4)
    small.fit(model, stop=BORN)
    classify = predictions.Compiled(lambda x: losses.softmax(model.classifier(model.classifier.preprocess(x))))
    said, old = predictions.probabilities(classify, small.images), trained(model)
    slots = [v for v in model.optimizer.variables if "momentum" in v.path]
    assert slots
    assert any(v.numpy().any() for v in slots)
    seen = {}

    class Look(type(model.method)):
        def next_student(self, probs):
            seen["probs"], seen["step"] = probs, int(model.optimizer.iterations)
            super().next_student(probs)

    model.method.__class__ = Look
    model.optimizer.learning_rate = 0.0
    small.fit(model, start=BORN, stop=BORN + 1)
    assert seen["step"] == BORN
    np.testing.assert_array_equal(seen["probs"], said)
    np.testing.assert_allclose(model.method.said.numpy(), said, rtol=1e-6)
    np.testing.assert_array_equal(model.method.counts.numpy()[:, 0], said.max(1) >= 0.4)
    assert int(model.student_number) == 1
    new = trained(model)
    # Without a learning rate the new student has its first weights still: kernels drawn anew, all else as at first.
    first = trained(noisy(small))
    for before, now, begun in zip(old, new, first, strict=True):
        assert (now != before).any()
        if begun.ndim > 1:
            assert (now != begun).any()
            assert now.std() == pytest.approx(begun.std(), rel=0.5)
        else:
            np.testing.assert_array_equal(now, begun)


def test_the_averages_and_the_slots_are_forgotten(small):
    from sesemi.training.students import start_again

    model = noisy(small)
    small.fit(model, stop=BORN)
    iterations = int(model.optimizer.iterations)
    start_again(model, seed=3)
    drawn = trained(model)
    moving = [v.numpy() for v in model.classifier.trunk.weights if "moving" in v.name]
    assert all((v == (1.0 if i % 2 else 0.0)).all() for i, v in enumerate(moving))
    assert all(not v.numpy().any() for v in model.optimizer.variables if "momentum" in v.path)
    assert int(model.optimizer.iterations) == iterations
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    start_again(model, seed=3)
    for a, b in zip(drawn, trained(model), strict=True):
        np.testing.assert_array_equal(a, b)
    start_again(model, seed=4)
    assert all((a != b).any() for a, b in zip(drawn, trained(model), strict=True) if a.ndim > 1)


@pytest.fixture(scope="module")
def whole(small):
    """All weights after a run that nobody disturbed."""
    model = noisy(small)
    small.fit(model, stop=TOTAL)
    return [variable.numpy() for variable in model.weights]


@pytest.mark.parametrize("stop", [BORN, BORN + 1])
def test_a_resume_around_a_birth_is_exact(small, whole, stop, tmp_path):
    """Right before it, where it is still to be done, and right after it, where it is not to be done again."""
    first, second = noisy(small), noisy(small)
    small.fit(first, stop=stop)
    first.save_weights(tmp_path / "half.weights.h5")
    second.load_weights(tmp_path / "half.weights.h5")
    small.fit(second, start=stop, stop=TOTAL)
    for a, b in zip(whole, second.weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_a_method_with_one_student_refuses_another(small):
    with pytest.raises(NotImplementedError, match="one student"):
        small.model("fixmatch").method.next_student(None)


def test_what_cannot_be_born_is_refused_before_the_first_update(small):
    model = noisy(small)
    model.compile(keras.optimizers.SGD(0.1), steps_per_execution=2)
    with pytest.raises(ValueError, match="steps_per_execution=1, got 2"):
        small.fit(model, stop=2)
    other = noisy(small)
    del other.classifier.head.kernel_initializer
    with pytest.raises(ValueError, match="no kernel_initializer, so there can be no new student"):
        small.fit(other, stop=2)
