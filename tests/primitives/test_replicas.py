"""Several devices and one train the same: two logical CPU devices stand for two GPUs."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from sesemi.methods import METHODS
from sesemi.pipeline import batches
from sesemi.primitives import replicas

# Each image is mixed with another one of the same replica, so these draw other pairs.
MIXES_WITHIN_A_REPLICA = {"mixmatch", "remixmatch", "mix_pseudo_label", "ict"}
# So that images pass the threshold, not all of them, the memory fills, and labeled ones are annealed.
CONFIDENT = {"flexmatch": {"threshold": 0.4}, "adamatch": {"threshold": 0.98}, "uda": {"tsa": "log", "threshold": 0.4}}
# Nothing of these needs the other replicas; each test of a method takes seconds to trace.
NO_STATE = {"asl", "pi_model", "vat", "dst"}
LONG = {"sesemi", "mean_teacher", "flexmatch"}


@pytest.fixture(scope="session")
def two():
    return replicas.on_devices(["CPU:0", "CPU:1"])


@functools.cache
def stream_of(small, strategy, start, stop):
    """The batches of a strategy, in whose scope this is called; to trace their order takes long."""
    sizes = {"labeled_batch_size": 12, "batch_size": 12}
    return batches.index_batches(small.labeled, small.unlabeled, **sizes, seed=1, start=start, stop=stop)


def train(small, strategy, method, *, steps=6, start=0, model=None, synchronized=True, total_steps=20, **how):
    if model is None:
        arguments = CONFIDENT.get(method, {}) | how
        model = small.model(
            method,
            strategy=strategy,
            synchronized=synchronized,
            trunk_dropout=0.0,
            total_steps=total_steps,
            **arguments,
        )
    with model.distribute_strategy.scope():
        stream = stream_of(small, strategy, start, steps)
        history = model.fit(stream, steps_per_epoch=steps - start, verbose=0, shuffle=False)
    return model, {name: values[0] for name, values in history.history.items()}


def assert_close(model, other, tolerance):
    for a, b in zip(model.weights, other.weights, strict=True):
        largest = max(1.0, np.abs(a.numpy()).max())
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=tolerance * largest, err_msg=a.path)


def assert_same_on_both(model):
    several = [v for v in [*model.variables, *model.optimizer.variables] if hasattr(v.value, "values")]
    assert len(several) > 10
    for variable in several:
        first, second = (part.numpy() for part in variable.value.values)
        np.testing.assert_array_equal(first, second, err_msg=variable.path)


@pytest.mark.parametrize("method", sorted(set(METHODS) - MIXES_WITHIN_A_REPLICA - NO_STATE))
def test_two_devices_train_as_one_does(small, two, method):
    steps = 20 if method in LONG else 6
    alone, logs = train(small, None, method, steps=steps)
    model, logs_of_two = train(small, two, method, steps=steps)
    assert_close(alone, model, 1e-4)
    assert_same_on_both(model)
    assert logs_of_two == pytest.approx(logs, rel=1e-4, nan_ok=True)


@pytest.mark.parametrize("method", sorted(MIXES_WITHIN_A_REPLICA))
def test_what_mixes_images_stays_equal_on_both(small, two, method):
    model, _ = train(small, two, method)
    assert_same_on_both(model)


def test_batchnorm_of_each_replica_and_of_both_differ(small, two):
    alone, _ = train(small, None, "supervised")
    own, _ = train(small, two, "supervised", synchronized=False)
    assert_same_on_both(own)
    kernels = [model.classifier.head.kernel.numpy() for model in (alone, own)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert np.abs(kernels[0] - kernels[1]).max() < 0.1


def test_a_resume_on_two_devices_is_to_the_bit(small, two, tmp_path):
    whole, _ = train(small, two, "flexmatch", steps=6)
    half, _ = train(small, two, "flexmatch", steps=3)
    half.save_weights(tmp_path / "half.weights.h5")
    rest = small.model("flexmatch", strategy=two, synchronized=True, trunk_dropout=0.0, threshold=0.4)
    rest.load_weights(tmp_path / "half.weights.h5")
    train(small, two, "flexmatch", start=3, steps=6, model=rest)
    for a, b in zip(whole.weights + whole.optimizer.variables, rest.weights + rest.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    assert_same_on_both(rest)


def test_batches_go_round_the_replicas_in_the_order_of_one(small, two):
    sizes = {"labeled_batch_size": 4, "batch_size": 6, "seed": 2, "start": 3, "stop": 9}
    alone = list(batches.index_batches(small.labeled, small.unlabeled, **sizes))
    with two.scope():
        both = list(batches.index_batches(small.labeled, small.unlabeled, **sizes))
    assert len(alone) == len(both) == 6
    for whole, parts in zip(alone, both, strict=True):
        for name in ("labeled", "unlabeled"):
            together = np.concatenate([part.numpy()[0] for part in parts[name].values])
            np.testing.assert_array_equal(together, whole[name])
        assert {int(step) for step in parts["step"].values} == {int(whole["step"])}


def test_a_batch_that_does_not_divide_is_refused(small, two):
    with two.scope(), pytest.raises(ValueError, match="5 unlabeled images do not divide by 2 devices"):
        batches.index_batches(
            small.labeled, small.unlabeled, labeled_batch_size=4, batch_size=5, seed=0, start=0, stop=1
        )


def test_one_device_gets_back_what_it_gives():
    rows = tf.random.normal((3, 2))
    for function in (replicas.gather, replicas.mean, replicas.total):
        np.testing.assert_array_equal(function(rows), rows)
    assert replicas.count() == 1
    assert replicas.number() == 0
    assert not replicas.several_workers()


def test_replicas_learn_of_each_other(two):
    @tf.function
    def step():
        def replica():
            me = tf.constant(float(replicas.number()))
            rows = tf.stack([me, me + 10.0])
            with tf.GradientTape() as tape:
                tape.watch(me)
                value = me * replicas.total(me * me + 1.0)
            parts = {"mean": replicas.mean(me), "total": replicas.total([me + 1.0])[0], "rows": replicas.gather(rows)}
            return parts | {"yes": replicas.gather(rows > 5.0), "gradient": tape.gradient(value, me)}

        return two.run(replica)

    found = {name: [part.numpy().tolist() for part in value.values] for name, value in step().items()}
    assert found["mean"] == [0.5, 0.5]
    assert found["total"] == [3.0, 3.0]
    assert found["rows"] == [[0.0, 10.0, 1.0, 11.0]] * 2
    assert found["yes"] == [[False, True, False, True]] * 2
    # total = 3: the derivative of its own factor, and of its part in the sums of both, whose factors are 0 and 1.
    assert found["gradient"] == [3.0, 3.0 + 2.0]
