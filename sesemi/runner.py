"""`run(config)`: where everything meets. Trains, survives being stopped, evaluates, and leaves the run folder."""

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

from sesemi import assembly, callbacks, checkpoint, devices, inspection, results
from sesemi import config as config_module
from sesemi.config import Origins, RunConfig
from sesemi.errors import InputError
from sesemi.session import Session, signals_to

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
    for line in assembly.without_effect(assembly.complete(config), origins):
        say(line)
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
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(f"--batch-size {config.batch_size}: out of memory; use a smaller one") from error
    except (callbacks.NonFiniteLossError, checkpoint.CheckpointError) as error:
        print(f"{config.run_dir}: {error}", file=sys.stderr)
        return EXIT_STOPPED_BY_ERROR
    except OSError as error:
        reason = " ".join(str(error).split())
        print(f"{config.run_dir}: {reason}; the same command continues from the last checkpoint", file=sys.stderr)
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
        checkpoint.CheckpointError: the disk is full.
    """
    started = time.perf_counter()
    config = assembly.complete(config)
    folder, strategy = config.run_dir, devices.strategy(config)
    if config.tensorboard:
        inspection.require_tensorboard()
    with checkpoint.lock(folder):
        _refuse_other_run(folder, config)
        if (folder / results.FILE).exists():
            _tidy(folder)
            say(f"{folder} is finished already; for another run give --seed or --name, or remove the folder")
            return json.loads((folder / results.FILE).read_text())
        with strategy.scope():
            materials = assembly.gather(config)
        config = materials.config
        for note in materials.data.notes:
            say(note)
        _write_beginning(folder, materials, origins or {})
        return _train(materials, origins or {}, strategy, started, say)


def _tidy(folder: Path) -> None:
    """Remove what a kill after the last write may have left."""
    checkpoint.Checkpoints(folder / "checkpoints").remove()
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


def _write_beginning(folder: Path, materials: assembly.Materials, origins: Origins) -> None:
    split = {**json.loads(materials.split.to_json()), "data_sha256": materials.data_digest}
    path = folder / "split.json"
    if path.exists():
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); remove the folder, or give another --name") from error
        if before != split:
            raise InputError(
                f"{folder}: the data or the split differ from those the run began with; give another --name"
            )
        return
    checkpoint.write_atomically(folder / "config.json", config_module.to_json(materials.config, origins))
    checkpoint.write_atomically(folder / "environment.json", json.dumps(_environment(), indent=2) + "\n")
    checkpoint.write_atomically(path, json.dumps(split) + "\n")


def _environment() -> dict[str, Any]:
    root = Path(__file__).parent.parent
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


def _train(materials: assembly.Materials, origins: Origins, strategy, started: float, say) -> dict[str, Any]:
    config, folder = materials.config, materials.config.run_dir
    checkpoints = checkpoint.Checkpoints(folder / "checkpoints")
    last = checkpoints.latest()
    state = checkpoints.read_state(last) if last else {"step": 0, "history": [], "best": {}}
    with strategy.scope():
        model = assembly.build_model(materials, fit_whitening=last is None)
        if last:
            checkpoints.load_weights(last, model)
            say(f"continuing {folder} from step {state['step']} of {config.total_steps}")
            if state["replicas"] != strategy.num_replicas_in_sync:
                there, here = state["replicas"], strategy.num_replicas_in_sync
                say(
                    f"its steps so far were shared by {there} devices, those to come by {here}: other numbers than by {there}"
                )
        else:
            say(inspection.plan(materials))
        session = Session(materials, model, checkpoints, state, started)
        with signals_to(session.saver):
            session.fit()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    found = results.finish(materials, model, origins, session)
    _tidy(folder)
    return found
