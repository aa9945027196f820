"""Runs on several devices, in half precision, and several steps at a time."""

import numpy as np
import pytest
import tensorflow as tf

from sesemi import config
from sesemi.inference import predictions
from sesemi.primitives import replicas

pytestmark = pytest.mark.usefixtures("undrawn")
SHORT = ["--gpu", "cpu", "--labels", "20", "--epochs", "2", "--steps-per-epoch", "4", "--quiet"]


def run(tmp_path, name, **given):
    from sesemi.runs import run

    given = {"epochs": 2, "steps_per_epoch": 4, "batch_size": 8, "labels": 50, "views": 1, "gpu": "cpu"} | given
    given |= {"output": str(tmp_path), "quiet": True, "name": name}
    return run.run(*config.resolve(given), say=lambda _: None), tmp_path / name


def test_a_run_on_two_devices_stopped_and_resumed_is_the_same_to_the_bit(tmp_path, stop_at):
    from sesemi.runs import callbacks

    given = {"method": "flexmatch", "replicas_cpu": 2, "strong_operations": 0, "arguments": {"threshold": 0.3}}
    whole, folder = run(tmp_path, "whole", **given)
    stop_at("on_train_batch_end", lambda saver, _: saver.step == 2)
    with pytest.raises(callbacks.Interrupted, match="after step 3"):
        run(tmp_path, "broken", **given)
    broken, other = run(tmp_path, "broken", **given)
    assert whole["replicas"] == broken["replicas"] == 2
    for file in ("log.csv", "pseudo_labels.csv"):
        assert (folder / file).read_text() == (other / file).read_text()
    predictions = [np.load(path / "predictions.npz")["probabilities"] for path in (folder, other)]
    np.testing.assert_array_equal(*predictions)


def test_another_number_of_devices_is_another_run(tmp_path):
    from sesemi.errors import InputError

    run(tmp_path, "a", epochs=1)
    with pytest.raises(InputError, match="replicas_cpu is 1 there and 2 here"):
        run(tmp_path, "a", epochs=1, replicas_cpu=2)


@pytest.mark.parametrize("count", [1, predictions.BATCH, 2 * predictions.BATCH + 1, 1797])
def test_two_devices_classify_every_image_exactly_once(count):
    images = np.arange(count)[:, None, None, None] * np.ones((1, 2, 2, 1))
    with replicas.on_devices(["CPU:0", "CPU:1"]).scope():
        classify = predictions.Compiled(
            lambda batch: tf.cast(batch[:, 0, 0, :] + tf.constant([0.0, 1.0], tf.float64), "float32")
        )
        assert classify.rows == 2 * predictions.BATCH
        probs = predictions.probabilities(classify, images)
    np.testing.assert_array_equal(probs, np.stack([np.arange(count), np.arange(count) + 1], axis=1))


def test_several_steps_an_execution_change_nothing_also_over_an_interruption(tmp_path, stop_at):
    from sesemi.runs import callbacks

    one, folder = run(tmp_path, "one", method="pseudo_label", arguments={"threshold": 0.0})
    stop_at("on_train_batch_end", lambda *_: True)
    with pytest.raises(callbacks.Interrupted, match="after step 2"):
        run(tmp_path, "two", method="pseudo_label", arguments={"threshold": 0.0}, steps_per_execution=2)
    two, other = run(tmp_path, "two", method="pseudo_label", arguments={"threshold": 0.0}, steps_per_execution=2)
    assert (folder / "log.csv").read_text() == (other / "log.csv").read_text()
    assert one["train_losses"] == two["train_losses"]
    assert two["images_per_second"] > 0


@pytest.mark.parametrize(("method", "devices"), [("pi_model", 1), ("pi_model", 2), ("noisy_student", 1)])
def test_float16_trains_with_a_scaled_loss(tmp_path, method, devices):
    given = {"method": method, "replicas_cpu": devices, "steps_per_epoch": 6, "strong_operations": 0}
    given["arguments"] = {"rounds": 1} if method == "noisy_student" else {}
    found, _ = run(tmp_path, "half", precision="float16", **given)
    exact, _ = run(tmp_path, "exact", **given)
    assert found["train_losses"]["loss"] == pytest.approx(exact["train_losses"]["loss"], rel=0.02)


@pytest.mark.parametrize("devices", [1, 2])
def test_float16_leaves_out_an_update_that_overflows_on_one_device(small, devices):
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    strategy = replicas.on_devices([f"CPU:{i}" for i in range(devices)])
    model = small.model("supervised", strategy=strategy, trunk_dropout=0.0)
    terms = model.method.loss_terms

    def overflows_at_first(batch, student, teacher):
        found = terms(batch, student, teacher)
        last = replicas.number() == devices - 1
        return {"supervised": found["supervised"] * tf.where((batch.step == 0) & last, float("inf"), 1.0)}

    model.method.loss_terms = overflows_at_first
    with strategy.scope():
        model.compile(keras.optimizers.SGD(0.05))
        with replicas.scale_scope():
            model.optimizer.build(model.trainable_variables)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        scale = float(model.optimizer.dynamic_scale.numpy())
        before = [variable.numpy() for variable in model.trainable_variables]
        small.fit(model, stop=1, steps_per_epoch=1)
        for a, b in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b.numpy())
        assert float(model.optimizer.dynamic_scale.numpy()) == scale / 2
        small.fit(model, start=1, stop=2, steps_per_epoch=1)
    assert int(model.optimizer.iterations.numpy()) == 1
    for a, b in zip(before, model.trainable_variables, strict=True):
        assert (a != b.numpy()).any()
        parts = b.value.values if devices > 1 else [b.value]
        for part in parts:
            assert np.isfinite(part.numpy()).all()
            np.testing.assert_array_equal(part.numpy(), parts[0].numpy())


@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_traces_its_step_once_on_each_device_and_each_network_once(tmp_path, monkeypatch, devices):
    from sesemi.runs import session
    from sesemi.training import model

    traced = {"train": 0, "evaluate": 0}
    train_step = model.SemiSupervisedModel.train_step

    def counted(self, data):
        traced["train"] += 1
        return train_step(self, data)

    def compiled(network):
        def calls(images):
            traced["evaluate"] += 1
            return network(network.preprocess(images))

        return predictions.Compiled(calls)

    monkeypatch.setattr(model.SemiSupervisedModel, "train_step", counted)
    monkeypatch.setattr(session, "_probabilities", compiled)
    run(tmp_path, "a", epochs=3, promote="balanced", replicas_cpu=devices, validation=0.2)
    assert traced == {"train": devices, "evaluate": devices}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--replicas-cpu 2 --batch-size 15", "--batch-size 15: does not divide by 2 devices; use 14 or 16"),
        ("--replicas-cpu 2 --labeled-batch-size 7", "--labeled-batch-size 7: does not divide by 2 devices; use 6 or 8"),
        ("--replicas-cpu 0", "--replicas-cpu 0: must lie from 1 to 64"),
        ("--replicas-cpu 2 --jit on", "--jit on: XLA compiles a step for one device"),
        ("--replicas-cpu 16", "--replicas-cpu 16: TensorFlow was started with 2"),
        ("--gpu 0,1", "--gpu 0,1: TensorFlow sees no"),
        ("--gpu 0,0", "name each GPU once"),
        ("--gpu 0,cpu", "name each GPU once"),
        ("--gpu 0,", "give a GPU's number"),
        ("--gpu 0,1 --replicas-cpu 2", "leave one out"),
        ("--steps-per-execution 3", "does not divide the 4 steps of an epoch"),
        ("--steps-per-execution 2 --method mean_teacher", "mean_teacher would lose the teacher"),
        ("--steps-per-execution 2 --method noisy_student", "noisy_student would lose the students"),
    ],
)
def test_what_several_devices_cannot_do_is_one_line(tmp_path, capsys, monkeypatch, flags, words):
    from sesemi.commands import train

    monkeypatch.setattr(train, "start_tensorflow", lambda *_, **__: None)
    assert train.main([*SHORT, *flags.split(), "--output", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert words in error
    assert not (tmp_path / "runs").exists()
