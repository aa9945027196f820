"""The running average of a network's weights, against its closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi.methods import METHODS
from sesemi.primitives import schedules
from sesemi.training.teacher import EMATeacher, variable_pairs


def plain_model():
    keras.utils.set_random_seed(1)
    layers = [keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


class Record(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append([w.numpy() for w in self.model.weights])


def data(steps=7):
    rng = np.random.default_rng(0)
    return tf.data.Dataset.from_tensor_slices((rng.normal(size=(8 * steps, 3)), rng.normal(size=8 * steps))).batch(8)


@pytest.mark.parametrize("statistics", ["average", "copy"])
@pytest.mark.parametrize(("decay", "warm_up"), [(0.8, True), (0.8, False), (0.999, True), (0.0, True)])
def test_the_teacher_of_any_model_is_the_average_of_its_weights(decay, warm_up, statistics):
    model, record = plain_model(), Record()
    start = [w.numpy() for w in model.weights]
    mover = EMATeacher(decay, warm_up, statistics=statistics)
    model.fit(data(), verbose=0, callbacks=[record, mover])
    expected = start
    for step, weights in enumerate(record.weights, 1):
        a = min(1 - 1 / (step + 1), decay) if warm_up else decay
        expected = [a * e + (1 - a) * w for e, w in zip(expected, weights, strict=True)]
    for variable, value, last in zip(mover.teacher.weights, expected, record.weights[-1], strict=True):
        moving = "moving" in variable.name
        np.testing.assert_allclose(variable, last if moving and statistics == "copy" else value, rtol=2e-4, atol=1e-6)
    assert any("moving_variance" in v.name and np.ptp(v.numpy()) > 0 for v in mover.teacher.weights)
    assert not mover.teacher.trainable_variables
    # The student is what it would have been without.
    alone = plain_model()
    alone.fit(data(), verbose=0)
    for a, b in zip(alone.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_refuses_several_steps_at_once():
    model = plain_model()
    model.compile("sgd", "mse", steps_per_execution=4)
    with pytest.raises(ValueError, match="steps_per_execution=1, got 4"):
        model.fit(data(), verbose=0, callbacks=[EMATeacher()])


@pytest.mark.parametrize("arguments", [{"decay": 1.5}, {"decay": -0.1}, {"statistics": "none"}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        EMATeacher(**arguments)


def test_a_teacher_of_another_shape_is_refused():
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    with pytest.raises(ValueError, match="same variables"):
        variable_pairs(other, plain_model())


def test_fit_brings_the_teacher_of_a_method_and_takes_the_callers(small):
    """Copied at first, then moved once a step; nobody trains it; preprocessing is shared, not averaged."""
    model = small.model("mean_teacher", ema_decay=0.9, total_steps=1000)
    before = [w.numpy() for w in model.teacher.weights]
    for a, b in zip(before, model.classifier.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    small.fit(model, stop=1)
    decay = float(schedules.ema_decay(1, 0.9))
    for a, t, s in zip(before, model.teacher.weights, model.classifier.weights, strict=True):
        np.testing.assert_allclose(t, decay * a + (1 - decay) * s.numpy(), rtol=1e-5, atol=1e-7)
    assert not {id(v) for v in model.teacher.weights} & {id(v) for v in model.trainable_variables}
    assert model.teacher.preprocess is model.classifier.preprocess
    own = small.model("mean_teacher")
    small.fit(own, stop=1, callbacks=[EMATeacher(0.0)])
    for t, s in zip(own.teacher.weights, own.classifier.weights, strict=True):
        np.testing.assert_array_equal(t, s)


def test_l2_leaves_the_teacher_alone(small):
    model = small.model("mean_teacher")
    assert not any("teacher" in kernel.path for kernel in model.kernels)
    assert len(model.kernels) == 3


def test_with_batch_statistics_the_teacher_remembers_nothing(small):
    model = small.model("mean_teacher", teacher_normalizes_by="batch")
    moving = [v for v in model.teacher.weights if "moving" in v.name]
    before = [v.numpy() for v in moving]
    small.fit(model, stop=1, callbacks=[EMATeacher(1.0, warm_up=False)])
    assert moving
    for a, v in zip(before, moving, strict=True):
        np.testing.assert_array_equal(a, v)


def test_what_the_paper_evaluates_comes_first(small):
    for name in ("mean_teacher", "ict", "mixmatch"):
        assert list(small.model(name).networks_by_name) == ["teacher", "student"]
    assert list(small.model("pi_model").networks_by_name) == ["student"]
    # Of every method with a teacher both are named, in some order.
    for name, method in METHODS.items():
        assert (len(small.model(name).networks_by_name) == 2) == (method().ema_decay is not None)


def test_one_callback_serves_one_model_after_another_and_any_with_a_teacher_given():
    mover = EMATeacher(0.0)
    for _ in range(2):
        model = plain_model()
        model.fit(data(2), verbose=0, callbacks=[mover])
        for t, s in zip(mover.teacher.weights, model.weights, strict=True):
            np.testing.assert_array_equal(t, s)

    class Own(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.classifier, self.out = keras.layers.Dense(width), keras.layers.Dense(1)
            self.build((None, 3))

        def build(self, shape):
            self.classifier.build(shape)
            self.out.build((None, self.classifier.units))
            self.built = True

        def call(self, x):
            return self.out(self.classifier(x))

    model, teacher = Own(4), Own(4)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="teacher="):
        model.fit(data(2), verbose=0, callbacks=[EMATeacher(0.5)])
    model.fit(data(2), verbose=0, callbacks=[EMATeacher(0.0, teacher=teacher)])
    for t, s in zip(teacher.weights, model.weights, strict=True):
        np.testing.assert_array_equal(t, s)


def test_the_teacher_of_a_short_run_averages_over_a_part_of_it(small):
    """0.999 is for a million updates. Of 600 it would be an average over all; a tenth of them is a decay of 0.9833."""
    assert schedules.longest_decay(0.999, 600, 0.1) == pytest.approx(1 - 1 / 60)
    assert schedules.longest_decay(0.999, 2**20, 0.1) == 0.999
    assert schedules.longest_decay(0.999, None, 0.1) == 0.999
    assert schedules.longest_decay(0.999, 3, 0.1) == 0.0
    assert small.model("fixmatch", total_steps=600).teacher_decay == pytest.approx(1 - 1 / 60)
    assert small.model("supervised").teacher_decay is None
    # Neither 1/2, which the warm-up has at first, nor the method's own decay.
    model = small.model("fixmatch", total_steps=40)
    model.ema_warm_up = False
    before = [w.numpy() for w in model.teacher.weights]
    small.fit(model, stop=1)
    for a, t, s in zip(before, model.teacher.weights, model.classifier.weights, strict=True):
        np.testing.assert_allclose(t, 0.75 * a + 0.25 * s.numpy(), rtol=1e-5, atol=1e-7)
