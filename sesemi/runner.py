"""`run(config)`: where everything meets. Trains, survives being stopped, evaluates, and leaves the run folder."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from sesemi import assembly, callbacks, checkpoint, evaluate, inspection, results
from sesemi import config as config_module
from sesemi.config import Origins, RunConfig
from sesemi.errors import InputError

EXIT_STOPPED_BY_ERROR = 3


def execute(config: RunConfig, origins: Origins, *, action: str) -> int:
    """What the scripts do: run and print.

    Args:
        config: what to run.
        origins: of its values.
        action: ``train``, ``dry-run`` or ``preview``.

    Returns:
        Exit code; see `sesemi.cli.main`.
    """
    say = (lambda *_: None) if config.quiet else (lambda line: print(line, flush=True))
    _say_device(config, say)
    try:
        if action == "dry-run":
            inspection.dry_run(config, origins)
        elif action == "preview":
            print(inspection.preview(config))
        else:
            found = run(config, origins, say=say)
            print(results.summary(found, config.run_dir))
        return 0
    except callbacks.Interrupted as stop:
        print(f"{stop}; the same command continues from there")
        return 128 + stop.number
    except KeyboardInterrupt:
        print("interrupted; the same command continues from the last checkpoint")
        return 128 + signal.SIGINT
    except (callbacks.NonFiniteLossError, checkpoint.CheckpointError) as error:
        print(f"{config.run_dir}: {error}", file=sys.stderr)
        return EXIT_STOPPED_BY_ERROR


def _say_device(config: RunConfig, say) -> None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if config.gpu != "cpu" and not gpus:
        say(f"--gpu {config.gpu}: TensorFlow sees no such GPU here; running on the CPU")


def run(config: RunConfig, origins: Origins | None = None, *, say=print) -> dict[str, Any]:
    """Train and evaluate; continues a run that was stopped, and returns the results of one that is finished.

    Args:
        config: what to run.
        origins: of its values, for ``config.json``.
        say: called with each line for the user.

    Returns:
        What ``results.json`` holds.

    Raises:
        InputError: the data are missing, or the folder holds another run or is in use.
        callbacks.Interrupted: a signal stopped it; the checkpoint is written.
        callbacks.NonFiniteLossError: a loss term became NaN.
        checkpoint.CheckpointError: the disk is full.
    """
    folder = config.run_dir
    if config.tensorboard:
        inspection.require_tensorboard()
    with checkpoint.lock(folder):
        _refuse_other_run(folder, config)
        if (folder / results.FILE).exists():
            say(f"{folder} is finished already; for another run give --seed or --name, or remove the folder")
            return json.loads((folder / results.FILE).read_text())
        materials = assembly.gather(config)
        config = materials.config
        for note in materials.data.notes:
            say(note)
        _write_beginning(folder, materials, origins or {})
        return _train(materials, origins or {}, say)


def _refuse_other_run(folder: Path, config: RunConfig) -> None:
    path = folder / "config.json"
    if not path.exists():
        return
    try:
        there, _ = config_module.from_json(path.read_text())
    except InputError as error:
        raise InputError(f"{path}: {error}; give another --name, or remove the folder") from error
    old, new = there.identity(), config.identity()
    if config.steps_per_epoch is None:
        new["steps_per_epoch"] = old["steps_per_epoch"]
    different = [f"{name} is {old[name]} there and {new[name]} here" for name in old if old[name] != new[name]]
    if different:
        raise InputError(f"{folder} holds another run ({'; '.join(different)}); give another --name")


def _write_beginning(folder: Path, materials: assembly.Materials, origins: Origins) -> None:
    split = {**json.loads(materials.split.to_json()), "data_sha256": materials.data_digest}
    path = folder / "split.json"
    if path.exists():
        before = json.loads(path.read_text())
        if before != split:
            raise InputError(
                f"{folder}: the data or the split differ from those the run began with; give another --name"
            )
        return
    checkpoint.write_atomically(folder / "config.json", config_module.to_json(materials.config, origins))
    checkpoint.write_atomically(folder / "environment.json", json.dumps(_environment(), indent=2) + "\n")
    checkpoint.write_atomically(path, json.dumps(split) + "\n")


def _environment() -> dict[str, Any]:
    import tensorflow as tf

    root = Path(__file__).parent.parent
    commit = None
    if (root / ".git").exists():
        git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
        commit = git.stdout.strip() or None
    return {
        "command": sys.argv,
        "versions": results.versions(),
        "commit": commit,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "devices": [device.name for device in tf.config.list_physical_devices()],
    }


def _train(materials: assembly.Materials, origins: Origins, say) -> dict[str, Any]:
    config, folder = materials.config, materials.config.run_dir
    checkpoints = checkpoint.Checkpoints(folder / "checkpoints")
    last = checkpoints.latest()
    state = checkpoints.read_state(last) if last else {"step": 0, "history": [], "best": {}}
    model = assembly.build_model(materials, fit_whitening=last is None)
    if last:
        checkpoints.load_weights(last, model)
        say(f"continuing {folder} from step {state['step']} of {config.total_steps}")
    else:
        say(inspection.plan(materials))
    session = _Session(materials, model, checkpoints, state)
    with _signals_to(session.saver):
        session.fit()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    found = results.finish(materials, model, origins, session.measurements(), session.history.rows, session.best)
    checkpoints.remove()
    return found


class _Session:
    """The part of a run that this process does.

    Args:
        materials: of the run.
        model: with the weights to start from.
        checkpoints: where to save.
        state: of the checkpoint to start from.
    """

    def __init__(self, materials, model, checkpoints, state):
        config = materials.config
        self._materials, self._model, self._first = materials, model, state["step"]
        self._before, self._began = state, time.perf_counter()
        self.best = state["best"]
        self.history = callbacks.History(config.run_dir / "log.csv", state["history"])
        timing = {"steps_per_epoch": config.steps_per_epoch, "first_step": self._first}
        self.progress = callbacks.Progress(
            epochs=config.epochs, images_per_step=materials.images_per_step, show=not config.quiet, **timing
        )
        self.saver = callbacks.SaveAndStop(checkpoints, self._state, **timing)

    def fit(self) -> None:
        """Train from the first step to the last; an epoch that was interrupted is finished first."""
        config = self._materials.config
        epoch, done = divmod(self._first, config.steps_per_epoch)
        common = {"verbose": 0, "shuffle": False, "callbacks": self._callbacks()}
        if done:
            rest = assembly.batches(self._materials, self._first, (epoch + 1) * config.steps_per_epoch)
            steps = config.steps_per_epoch - done
            self._model.fit(rest, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=steps, **common)
            epoch += 1
        if epoch < config.epochs:
            rest = assembly.batches(self._materials, epoch * config.steps_per_epoch, config.total_steps)
            steps = config.steps_per_epoch
            self._model.fit(rest, initial_epoch=epoch, epochs=config.epochs, steps_per_epoch=steps, **common)
        self.saver.save()

    def _callbacks(self) -> list:
        config, data, split = self._materials.config, self._materials.data, self._materials.split
        classify = evaluate.compiled(lambda images: self._model(images, training=False))

        def error(images, labels):
            return lambda: evaluate.error_percent(evaluate.probabilities(classify, images), labels)

        errors = {"test": error(data.test_images, data.test_labels)}
        if len(split.validation):
            held_out = split.validation
            errors["validation"] = error(data.train_images[held_out], data.train_labels[held_out])
        found = [
            callbacks.RestoreMetrics(self._before.get("metrics")),
            callbacks.StopOnNonFiniteLoss(lambda: self.saver.step + 1),
            callbacks.EpochEvaluation(errors),
        ]
        if config.tensorboard:
            found.append(keras.callbacks.TensorBoard(config.run_dir / "tensorboard", write_graph=False))
        if len(split.validation):
            found.append(callbacks.KeepBest(config.run_dir / results.BEST_WEIGHTS, self.best))
        return [*found, self.history, self.progress, self.saver]

    def _state(self) -> dict[str, Any]:
        metrics = [variable.numpy().item() for variable in callbacks.metric_variables(self._model)]
        return {"history": self.history.rows, "best": self.best, "metrics": metrics, **self.measurements()}

    def measurements(self) -> dict[str, float]:
        """Seconds, images a second and peak memory, those of earlier processes counted in."""
        timed_images, timed_s = self.progress.timed
        timed_images += self._before.get("timed_images", 0)
        timed_s += self._before.get("timed_seconds", 0.0)
        return {
            "seconds": self._before.get("seconds", 0.0) + time.perf_counter() - self._began,
            "timed_images": timed_images,
            "timed_seconds": timed_s,
            "peak_memory_mib": max(inspection.peak_memory_mib(), self._before.get("peak_memory_mib", 0.0)),
        }


@contextlib.contextmanager
def _signals_to(saver: callbacks.SaveAndStop) -> Iterator[None]:
    """Ctrl-C and SIGTERM save and stop; only a main thread can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, saver.request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
