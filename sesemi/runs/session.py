"""The part of a run that one process trains: batches from where it starts, callbacks, signals, measurements."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from sesemi.assembly.build import batches
from sesemi.assembly.plan import peak_memory_mib
from sesemi.distribution import workers
from sesemi.inference import metrics, predictions
from sesemi.primitives import losses
from sesemi.runs import alarms, callbacks, progress, promotion
from sesemi.runs.folder import RunFolder
from sesemi.training.guard import StopOnNonFiniteLoss


class Session:
    """The part of a run that this process does.

    Args:
        materials: of the run.
        model: with the weights to start from.
        checkpoints: where to save.
        state: of the checkpoint to start from.
        started: when this process began with it, by `time.perf_counter`.
        warn: Function that is called with a warning.
    """

    def __init__(self, materials, model, checkpoints, state, started, *, warn):
        config, folder = materials.config, RunFolder(materials.config.run_dir)
        self._materials, self._model, self._first = materials, model, state["step"]
        self._warn = warn
        self._before, self._began = state, started
        self.best = state["best"]
        self.history = callbacks.History(folder.log, state["history"])
        timing = {"steps_per_epoch": materials.steps_per_epoch, "first_step": self._first}
        self.progress = progress.Progress(
            epochs=config.epochs,
            images_per_step=materials.images_per_step,
            show=not config.quiet and workers.is_chief(),
            started=started,
            **timing,
        )
        self.pseudo_labels = callbacks.PseudoLabelLog(
            folder.pseudo_labels,
            state.get("pseudo_labels", []),
            cure=alarms.Cure(config.method, materials.method.arguments(), materials.data.class_names, config.epochs),
            say=self._warn_beside_the_bar,
        )
        self.saver = callbacks.SaveAndStop(checkpoints if workers.is_chief() else None, self._state, **timing)
        self.saver.drawn = lambda: self.progress.width
        # Where nothing is left to train, `fit` never tells it.
        self.saver.set_model(model)
        self.promotions = promotion.Promotions(**state.get("promotions", {}))
        materials.pixels.relabel(self.promotions.index, self.promotions.labels)
        self.classify = {name: _probabilities(network) for name, network in model.networks_by_name.items()}

    def fit(self) -> None:
        """Train from the first step to the last; an epoch that was interrupted is finished first."""
        epoch, done = divmod(self._first, self._materials.steps_per_epoch)
        common = {"verbose": 0, "shuffle": False, "callbacks": self._callbacks()}
        if done:
            steps = self._materials.steps_per_epoch - done
            rest = self._batches(self._first, (epoch + 1) * self._materials.steps_per_epoch)
            self._model.fit(rest, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=steps, **common)
            epoch += 1
        for end in self._stages():
            if end <= epoch:
                continue
            self._promote_if_due(epoch)
            steps = self._materials.steps_per_epoch
            rest = self._batches(epoch * steps, end * steps)
            self._model.fit(rest, initial_epoch=epoch, epochs=end, steps_per_epoch=steps, **common)
            epoch = end
        self.saver.save()
        self.saver.stop_if_asked()

    def _stages(self) -> list[int]:
        """Return the epochs after which something other than the next epoch follows: a promotion, or the end."""
        config = self._materials.config
        if config.promote == "none":
            return [config.epochs]
        return [*range(config.promote_from, config.epochs, config.promote_every), config.epochs]

    def _batches(self, start: int, stop: int):
        with self._model.distribute_strategy.scope():
            return batches(self._materials, start, stop, self.promotions.index)

    def _promote_if_due(self, epoch: int) -> None:
        """Promote images at the first step of a stage, unless the checkpoint has that promotion already."""
        config, data, split = self._materials.config, self._materials.data, self._materials.split
        if epoch not in self._stages() or self.promotions.done_at(epoch):
            return
        taken = np.concatenate([split.labeled, split.validation, self.promotions.index])
        candidates = np.setdiff1d(np.arange(len(data.train_labels) - data.extra), taken)
        if not len(candidates):
            return
        classify, *_ = self.classify.values()
        # Other machines may round otherwise, and one image more or less would be another run.
        probs = workers.from_chief(predictions.probabilities(classify, predictions.Rows(data.train_images, candidates)))
        chosen = promotion.choose(
            probs, config.promote, threshold=config.promote_threshold, fraction=config.promote_fraction
        )
        self.promotions.add(epoch, candidates, probs, chosen, data.train_labels[candidates])
        self._materials.pixels.relabel(self.promotions.index, self.promotions.labels)
        self.progress.say(f"after epoch {epoch}: {len(chosen)} of {len(candidates)} images promoted")

    def _callbacks(self) -> list:
        config, data, split = self._materials.config, self._materials.data, self._materials.split
        restore = callbacks.RestoreMetrics(
            self._before.get("metrics") if self._first % self._materials.steps_per_epoch else None
        )
        guard = StopOnNonFiniteLoss(lambda: self.saver.step + 1)
        if not workers.is_chief():
            return [restore, guard, self.saver]
        errors = {}
        for number, classify in enumerate(self.classify.values()):
            # The network that the paper evaluates has the plain names.
            prefix = f"{list(self.classify)[number]}_" if number else ""
            errors[f"{prefix}test"] = self._error(classify, data.test_images, data.test_labels)
            if len(split.validation):
                images, labels = (
                    predictions.Rows(data.train_images, split.validation),
                    data.train_labels[split.validation],
                )
                errors[f"{prefix}validation"] = self._error(classify, images, labels)
        found = [restore, guard, callbacks.EpochEvaluation(errors)]
        if config.tensorboard:
            found.append(keras.callbacks.TensorBoard(config.run_dir / "tensorboard", write_graph=False))
        if len(split.validation):
            found.append(callbacks.KeepBest(RunFolder(config.run_dir).best_weights, self.best))
        if self._model.monitor is not None:
            found.append(self.pseudo_labels)
        return [*found, self.history, self.progress, self.saver]

    def _error(self, classify, images, labels):
        show = self.progress.evaluating
        return lambda: metrics.error_percent(predictions.probabilities(classify, images, show), labels)

    def _warn_beside_the_bar(self, line: str) -> None:
        self.progress.clear()
        self._warn(line)

    def _state(self) -> dict[str, Any]:
        metrics = [variable.numpy().tolist() for variable in callbacks.metric_variables(self._model)]
        so_far = {"history": self.history.rows, "best": self.best, "metrics": metrics}
        so_far["replicas"] = self._model.distribute_strategy.num_replicas_in_sync
        so_far["pseudo_labels"] = self.pseudo_labels.rows
        return {**so_far, "promotions": vars(self.promotions), **self.measurements()}

    def measurements(self) -> dict[str, float]:
        """Return seconds, timed images with their seconds, and peak memory; earlier processes count too."""
        timed_images, timed_s = self.progress.timed
        timed_images += self._before.get("timed_images", 0)
        timed_s += self._before.get("timed_seconds", 0.0)
        return {
            "seconds": self._before.get("seconds", 0.0) + time.perf_counter() - self._began,
            "timed_images": timed_images,
            "timed_seconds": timed_s,
            "peak_memory_mib": max(peak_memory_mib(), self._before.get("peak_memory_mib", 0.0)),
        }


def _probabilities(network):
    return predictions.Compiled(lambda images: losses.softmax(network(network.preprocess(images))))


@contextlib.contextmanager
def signals_to(saver: callbacks.SaveAndStop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a terminal that is closed (SIGHUP) save and stop.

    A signal that is ignored already, as under ``nohup``, stays ignored. Only a main thread can ask for any of that;
    elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    saver.terminals = [stream for stream in (1, 2) if os.isatty(stream)]
    before = {number: signal.signal(number, saver.request_stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
