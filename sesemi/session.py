"""The part of a run that one process trains: batches from where it starts, callbacks, signals, measurements."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras

from sesemi import assembly, callbacks, evaluate, inspection, progress, results


class Session:
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
        self.progress = progress.Progress(
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
        self.saver.stop_if_asked()

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
            callbacks.RestoreMetrics(self._before.get("metrics") if self._first % config.steps_per_epoch else None),
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
def signals_to(saver: callbacks.SaveAndStop) -> Iterator[None]:
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
