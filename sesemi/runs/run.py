"""`run(config)`: train, continue after a stop, evaluate, and leave the run folder."""

import contextlib
import functools
import json
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from sesemi.assembly import materials as assembly
from sesemi.assembly import method as methods_of_runs
from sesemi.assembly.build import build_model
from sesemi.assembly.materials import Materials
from sesemi.assembly.plan import plan
from sesemi.config import Origins, RunConfig
from sesemi.distribution import devices, workers
from sesemi.errors import InputError
from sesemi.files import lock
from sesemi.runs import alarms, look, results
from sesemi.runs.checkpoints import Checkpoints
from sesemi.runs.environment import environment, versions
from sesemi.runs.folder import RunFolder
from sesemi.runs.session import Session, signals_to
from sesemi.terminal import show, tell
from sesemi.training.model import SemiSupervisedModel


class UnreadableError(RuntimeError):
    """A picture could not be read while training. Once that is mended, the run continues from its checkpoint."""


def run(config: RunConfig, origins: Origins | None = None, *, say=show, warn=tell) -> dict[str, Any]:
    """Train and evaluate; continues a run that was stopped, and returns the results of one that is finished.

    Args:
        config: What to run.
        origins: Origins of its values, for ``config.json``.
        say: Function that is called with each line for the user.
        warn: Function that is called with each warning.

    Returns:
        What ``results.json`` holds; nothing for a worker that does not write the folder.

    Raises:
        InputError: The data are missing, or the folder holds another run or is in use.
        sesemi.runs.callbacks.Interrupted: A signal stopped it; the checkpoint is written.
        sesemi.training.guard.NonFiniteLossError: A loss term became NaN.
        sesemi.runs.checkpoints.CheckpointError: The disk is full.
        UnreadableError: A picture could not be read while training.
    """
    started = time.perf_counter()
    strategy = devices.strategy(config)
    if config.sync_batch_norm and strategy.num_replicas_in_sync == 1:
        say("`sync_batch_norm`: there is one device; it changes nothing")
    with contextlib.ExitStack() as held:
        materials, done = _begin(config, origins or {}, strategy, held, say)
        if materials is None:
            return done
        for text in alarms.of_data(materials):
            warn(f"warning: {text}")
        model, session = _prepare(materials, strategy, started, say, warn)
        found: dict[str, Any] = {}
        # Who says why it stops has a line of his own.
        with contextlib.closing(session.progress):
            with signals_to(session.saver), _unreadable_named(materials):
                session.fit()
            model.optimizer.finalize_variable_values(model.trainable_variables)
            if workers.is_chief():
                found = results.finish(materials, model, origins or {}, session)
        if found:
            _tidy(RunFolder(config.run_dir))
        workers.share("done")
        return found


def _begin(
    config: RunConfig, origins: Origins, strategy, held: contextlib.ExitStack, say
) -> tuple[Materials | None, dict[str, Any]]:
    """Lock the folder, load the data, and agree with the other workers.

    The chief alone touches the folder. An error of one worker is told to all, so that none waits in vain.

    Returns:
        The materials, or None if the run is finished; and the results of a finished run.
    """
    folder, materials, finished, error = RunFolder(config.run_dir), None, False, None
    try:
        finished = workers.is_chief() and _take_folder(folder, config, held)
        if not finished:
            materials = _loaded(folder, config)
            if workers.is_chief():
                folder.refuse_other_split(_split_of(materials))
    except InputError as wrong:
        finished, error = False, wrong
    chief, *_ = workers.same_for_all(
        error,
        {
            "finished": finished,
            "config": {name: str(value) for name, value in config.identity().items()},
            "code": workers.code_digest(versions()) if workers.addresses() else None,
            "data": materials and [materials.data_digest, materials.split.digest],
        },
    )
    if chief["finished"] or materials is None:
        say(f"{folder.path} is finished already; for another run give `seed` or `name`, or remove the folder")
        return None, folder.results() if workers.is_chief() else {}
    for note in materials.data.notes:
        say(note)
    if workers.is_chief():
        folder.write_beginning(
            materials.recorded,
            origins,
            _split_of(materials),
            environment=environment,
            left_out=materials.data.left_out,
        )
    with strategy.scope():
        return assembly.place(materials), {}


def _loaded(folder: RunFolder, config: RunConfig) -> Materials:
    """Load the data; the chief notes what their files are and, if they are refused, which pictures were left out."""
    if not workers.is_chief():
        return assembly.load(config)
    try:
        return assembly.load_for_run(config)
    except InputError as error:
        if error.left_out and not folder.split_file.exists():
            folder.write_left_out(error.left_out)
            where = f"all that is left out is in {folder.left_out}"
            error.cure = f"{error.cure}; {where}" if error.cure else where
        raise


def _take_folder(folder: RunFolder, config: RunConfig, held: contextlib.ExitStack) -> bool:
    """Lock the run folder until `held` is closed, and return whether the run in it is finished."""
    if config.tensorboard:
        look.require_tensorboard()
    held.enter_context(lock(folder.path))
    folder.refuse_files_of_others()
    folder.refuse_other_run(_identity(config), _identity)
    if folder.is_finished:
        folder.refuse_changed_files(functools.partial(assembly.files_have_changed, config))
        _tidy(folder)
    return folder.is_finished


def _identity(config: RunConfig) -> dict[str, Any]:
    return {**config.identity(), "arguments": methods_of_runs.hyperparameters(config)}


def _tidy(folder: RunFolder) -> None:
    """Remove what a kill after the last write may have left."""
    Checkpoints(folder.checkpoints).remove()
    folder.best_weights.unlink(missing_ok=True)


def _split_of(materials: Materials) -> dict[str, Any]:
    own = {"data_sha256": materials.data_digest, "labels_sha256": materials.data.labels_sha256()}
    return {**json.loads(materials.split.to_json()), **own}


def _prepare(materials: Materials, strategy, started: float, say, warn) -> tuple[SemiSupervisedModel, Session]:
    """Build the model, or fetch it from the last checkpoint, and what trains it."""
    identity = [_identity(materials.recorded), _split_of(materials)]
    saved = Checkpoints(RunFolder(materials.config.run_dir).checkpoints, identity)
    last = saved.latest(warn) if workers.is_chief() else None
    state, *_ = workers.share(saved.read_state(last) if last else {"step": 0, "history": [], "best": {}})
    with strategy.scope():
        model = build_model(materials, fit_whitening=state["step"] == 0)
    if last:
        saved.load_weights(last, model)
    workers.weights_from_chief([*model.variables, *model.optimizer.variables])
    _say_where_it_stands(materials, state, strategy.num_replicas_in_sync, say)
    decay, longest = model.teacher_decay, model.method.ema_decay
    if decay is not None and decay != longest:
        averaged = f"the last {1 / (1 - decay):.0f} updates (a decay of {decay:.4g})"
        say(f"the teacher averages over {averaged}, `ema_part` of the run; {longest:g} is for longer ones")
    with strategy.scope():
        return model, Session(materials, model, saved, state, started, warn=warn)


@contextlib.contextmanager
def _unreadable_named(materials: Materials) -> Iterator[None]:
    """Name the picture that could not be read; TensorFlow's own message hides which file it was."""
    try:
        yield
    except tf.errors.OpError as error:
        if materials.pixels is not None and materials.pixels.failure:
            raise UnreadableError(materials.pixels.failure) from error
        raise


def _say_where_it_stands(materials: Materials, state: dict[str, Any], here: int, say) -> None:
    if state["step"] == 0:
        say(plan(materials))
        return
    say(f"continuing {materials.config.run_dir} from step {state['step']} of {materials.total_steps}")
    there = state["replicas"]
    if there != here:
        say(f"{there} devices shared its steps so far, {here} go on: the numbers will be other than {there} give")
