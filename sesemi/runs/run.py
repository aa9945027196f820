"""`run(config)`: where everything meets. Trains, survives being stopped, evaluates, and leaves the run folder."""

import contextlib
import csv
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from sesemi.assembly import build
from sesemi.config import run_config as config_module
from sesemi.config.run_config import Origins, RunConfig
from sesemi.distribution import devices, workers
from sesemi.errors import InputError
from sesemi.runs import callbacks, checkpoints, look, results
from sesemi.runs.session import Session, signals_to
from sesemi.training.model import SemiSupervisedModel

EXIT_STOPPED_BY_ERROR = 3
LEFT_OUT = "left_out.csv"


def execute(config: RunConfig, origins: Origins, *, action: str) -> int:
    """What the scripts do: run and print.

    Args:
        config: what to run.
        origins: of its values.
        action: ``train``, ``dry-run`` or ``preview``.

    Returns:
        Exit code; see `sesemi.commands.train.main`.
    """
    say = (lambda *_: None) if config.quiet or not workers.is_chief() else (lambda line: print(line, flush=True))
    _say_device(config, say)
    for line in build.without_effect(build.complete(config), origins):
        say(line)
    try:
        if action == "dry-run":
            look.dry_run(config, origins)
        elif action == "preview":
            print(look.preview(config))
        else:
            found = run(config, origins, say=say)
            if workers.is_chief():
                print(results.summary(found, config.run_dir))
        return 0
    except callbacks.Interrupted as stop:
        print(f"{stop}; the same command continues from there")
        return 128 + stop.number
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(f"--batch-size {config.batch_size}: out of memory; use a smaller one") from error
    except (callbacks.NonFiniteLossError, checkpoints.CheckpointError) as error:
        print(f"{config.run_dir}: {error}", file=sys.stderr)
        return EXIT_STOPPED_BY_ERROR
    except workers.LOST as error:
        if not workers.addresses():
            raise
        gone = f"{workers.who_is_gone(error)} is gone ({type(error).__name__})"
        print(
            f"worker {workers.number()}: {gone}; the same commands, on all of them, continue from the last checkpoint",
            file=sys.stderr,
            flush=True,
        )
        # TensorFlow would wait for the one that is gone before it lets go.
        os._exit(EXIT_STOPPED_BY_ERROR)
    except OSError as error:
        reason = " ".join(str(error).split())
        print(
            f"{config.run_dir}: {reason}; once that is mended, the same command continues from the last checkpoint",
            file=sys.stderr,
        )
        return EXIT_STOPPED_BY_ERROR


def _say_device(config: RunConfig, say) -> None:
    gpus = tf.config.list_physical_devices("GPU")
    if config.gpu != "cpu" and "," not in config.gpu and config.replicas_cpu == 1 and not gpus:
        say(f"--gpu {config.gpu}: TensorFlow sees no such GPU here; running on the CPU (README has what a GPU needs)")


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
        checkpoints.CheckpointError: the disk is full.
    """
    started = time.perf_counter()
    config = build.complete(config)
    strategy = devices.strategy(config)
    if config.sync_batch_norm and strategy.num_replicas_in_sync == 1:
        say("--sync-batch-norm: there is one device; it changes nothing")
    with contextlib.ExitStack() as held:
        materials, done = _begin(config, origins or {}, strategy, held, say)
        if done is not None:
            return done
        model, session = _train(materials, strategy, started, say)
        found = {}
        if workers.is_chief():
            found = results.finish(materials, model, origins or {}, session)
            _tidy(config.run_dir)
        workers.share("done")
        return found


def _begin(config: RunConfig, origins: Origins, strategy, held: contextlib.ExitStack, say):
    """Lock the folder, load the data, and agree with the other workers; the results, if the run is finished.

    The chief alone touches the folder. An error of one worker is told to all, so that none waits in vain.
    """
    folder, materials, finished, error = config.run_dir, None, False, None
    try:
        finished = workers.is_chief() and _take_folder(config, held)
        if not finished:
            materials = build.load(config)
            if workers.is_chief():
                _refuse_other_split(folder, materials)
    except InputError as wrong:
        finished, error = False, str(wrong)
    chief, *_ = workers.same_for_all(
        {
            "error": error,
            "finished": finished,
            "config": {name: str(value) for name, value in config.identity().items()},
            "code": workers.code_digest(results.versions()) if workers.addresses() else None,
            "data": materials and [materials.data_digest, materials.split.digest],
        }
    )
    if not chief["finished"]:
        for note in materials.data.notes:
            say(note)
        if workers.is_chief():
            _write_beginning(folder, materials, origins)
        with strategy.scope():
            return build.place(materials), None
    say(f"{folder} is finished already; for another run give --seed or --name, or remove the folder")
    return None, json.loads((folder / results.FILE).read_text()) if workers.is_chief() else {}


def _take_folder(config: RunConfig, held: contextlib.ExitStack) -> bool:
    """Lock the run folder, as long as `held` is; whether the run in it is finished."""
    if config.tensorboard:
        look.require_tensorboard()
    held.enter_context(checkpoints.lock(config.run_dir))
    _refuse_other_run(config.run_dir, config)
    if (config.run_dir / results.FILE).exists():
        _refuse_changed_files(config)
        _tidy(config.run_dir)
        return True
    return False


def _refuse_changed_files(config: RunConfig) -> None:
    before = json.loads((config.run_dir / results.FILE).read_text()).get("files_sha256")
    if before is not None and build.files_sha256(config) not in (before, None):
        raise InputError(
            f"{config.run_dir} is finished, and its pictures or labels have changed since; give another --name, or "
            "remove the folder"
        )


def _tidy(folder: Path) -> None:
    """Remove what a kill after the last write may have left."""
    checkpoints.Checkpoints(folder / "checkpoints").remove()
    (folder / results.BEST_WEIGHTS).unlink(missing_ok=True)


def _refuse_other_run(folder: Path, config: RunConfig) -> None:
    path = folder / "config.json"
    if not path.exists():
        return
    try:
        there, _ = config_module.from_json(path.read_text())
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}; give another --name, or remove the folder") from error
    old, new = there.identity(), config.identity()
    if config.steps_per_epoch is None:
        new["steps_per_epoch"] = old["steps_per_epoch"]
    different = [f"{name} is {old[name]} there and {new[name]} here" for name in old if old[name] != new[name]]
    if different:
        raise InputError(f"{folder} holds another run ({'; '.join(different)}); give another --name")


def _split_of(materials: build.Materials) -> dict[str, Any]:
    own = {"data_sha256": materials.data_digest, "labels_sha256": materials.data.labels_sha256()}
    return {**json.loads(materials.split.to_json()), **own}


def _refuse_other_split(folder: Path, materials: build.Materials) -> None:
    path = folder / "split.json"
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); remove the folder, or give another --name") from error
    now = _split_of(materials)
    if any(now.get(name) != value for name, value in before.items()):
        raise InputError(f"{folder}: the data or the split differ from those the run began with; give another --name")


def _write_beginning(folder: Path, materials: build.Materials, origins: Origins) -> None:
    path = folder / "split.json"
    if path.exists():
        return
    checkpoints.write_atomically(folder / "config.json", config_module.to_json(materials.config, origins))
    checkpoints.write_atomically(folder / "environment.json", json.dumps(_environment(), indent=2) + "\n")
    if materials.data.left_out:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("path", "why"), *materials.data.left_out])
        checkpoints.write_atomically(folder / LEFT_OUT, text.getvalue())
    checkpoints.write_atomically(path, json.dumps(_split_of(materials)) + "\n")


def _environment() -> dict[str, Any]:
    root = Path(__file__).parents[2]
    commit = None
    if (root / ".git").exists() and shutil.which("git"):
        git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
        commit = git.stdout.strip() or None
    return {
        "command": sys.argv,
        "versions": results.versions(),
        "commit": commit,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        # Sums in another order round differently: another number of threads gives other bits.
        "threads": {name: os.environ.get(name) for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")},
        "devices": [device.name for device in tf.config.list_physical_devices()],
    }


def _train(materials: build.Materials, strategy, started: float, say) -> tuple[SemiSupervisedModel, Session]:
    config, folder = materials.config, materials.config.run_dir
    saved = checkpoints.Checkpoints(folder / "checkpoints")
    last = saved.latest() if workers.is_chief() else None
    state, *_ = workers.share(saved.read_state(last) if last else {"step": 0, "history": [], "best": {}})
    begins = state["step"] == 0
    with strategy.scope():
        model = build.build_model(materials, fit_whitening=begins)
    if last:
        saved.load_weights(last, model)
    workers.weights_from_chief([*model.variables, *model.optimizer.variables])
    if begins:
        say(look.plan(materials))
    else:
        say(f"continuing {folder} from step {state['step']} of {config.total_steps}")
        there, here = state["replicas"], strategy.num_replicas_in_sync
        if there != here:
            say(f"{there} devices shared its steps so far, {here} go on: the numbers will be other than {there} give")
    with strategy.scope():
        session = Session(materials, model, saved, state, started)
    with signals_to(session.saver):
        try:
            session.fit()
        except tf.errors.OpError as error:
            # TensorFlow's own message hides which file it was.
            if getattr(materials.pixels, "failure", None):
                raise OSError(materials.pixels.failure) from error
            raise
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model, session
