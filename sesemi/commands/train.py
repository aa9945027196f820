"""``sesemi train``, which is ``train_evaluate_sesemi.py``: turn flags into a run, and print what it does."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sesemi.commands.parser import EXIT_BAD_INPUT, as_typed, says_missing, typed
from sesemi.commands.train_flags import build_parser
from sesemi.config import Origins, RunConfig, read_settings, resolve
from sesemi.config.registry import NETWORKS
from sesemi.distribution import cluster, rendezvous
from sesemi.distribution.start import start_tensorflow
from sesemi.errors import InputError, did_you_mean
from sesemi.files import WriteError
from sesemi.terminal import show, tell

EXIT_STOPPED_BY_ERROR = 3
# The script with images from elsewhere, as it was in 2019.
TINY_IMAGES = {"dataset": "cifar100", "labels": "all", "extra": 237_203}
TINY_IMAGES_NETWORKS = ("convnet", "wrn")


def main(
    arguments: Sequence[str] | None = None,
    program: str = "train_evaluate_sesemi.py",
    instead: dict[str, object] | None = None,
    networks: Sequence[str] = NETWORKS,
) -> int:
    """Parse, run and print.

    Args:
        arguments: Words that were typed behind the name of the program; default: the command line.
        program: Name of the program.
        instead: Other defaults, by name of the setting.
        networks: Names of the networks that can be chosen.

    Returns:
        Exit code: 0 done, 2 bad arguments or data (one line on stderr), 3 training stopped by NaN, by the disk, by an
        unreadable picture, or because another worker is gone, 130, 143 or 129 interrupted (the same command continues).
    """
    given = vars(build_parser(program).parse_args(arguments))
    traceback = given.pop("traceback", False)
    action = "dry-run" if given.pop("dry_run", False) else "preview" if given.pop("preview", False) else "train"
    config = None
    try:
        config, origins = _resolved(given, program, instead or {}, networks)
        say = _start(config, origins, gpu="gpu" in given, action=action)
        if action != "train":
            _look(config, origins, action)
            return 0
        from sesemi.runs.run import run

        found = run(config, origins, say=say, warn=_warn)
        if found:
            _print_summary(found, config)
        return 0
    except KeyboardInterrupt:
        show("interrupted; the same command continues from the last checkpoint, if there is one")
        return 128 + signal.SIGINT
    except Exception as error:
        # Raises what is not ours to explain.
        return _stopped_by(error, config, program, traceback=traceback)


def _resolved(
    given: dict[str, Any], program: str, instead: dict[str, object], networks: Sequence[str]
) -> tuple[RunConfig, Origins]:
    if "arguments" in given:
        given["arguments"] = dict(given["arguments"])
    base, inherited = read_settings(given.pop("config"), given) if "config" in given else ({}, {})
    own = given.get("arguments", {})
    inherited = {name: origin for name, origin in inherited.items() if name.removeprefix("arguments.") not in own}
    both = base.get("arguments", {}) | own
    for name, value in instead.items():
        if name not in given and name not in base and f"{name}_source" not in given:
            given[name], inherited[name] = value, f"default: {program}"
    if given.get("network", networks[0]) not in networks:
        raise InputError(
            f"choose from {', '.join(networks)}",
            setting="network",
            value=given["network"],
            cure=did_you_mean(given["network"], networks),
        )
    return resolve({**base, **given, "arguments": both}, inherited)


def _start(config: RunConfig, origins: Origins, *, gpu: bool, action: str) -> Callable[[str], None]:
    """Start TensorFlow on the devices of the run, once all workers are there; return what prints lines for the user."""
    several = cluster.announce(config.workers, config.worker)
    if several and action != "train":
        raise InputError(f"--{action}: looks at one process", cure="leave `workers`, `worker` and TF_CONFIG out")
    if several:
        names, number = several
        if not config.quiet:
            show(f"worker {number} of {len(names)}: waiting for the others")
        rendezvous.wait_for_all(names, number)
    # A scheduler's own choice of GPU stands unless the user says otherwise.
    chosen = gpu or "CUDA_VISIBLE_DEVICES" not in os.environ
    device = "cpu" if config.replicas_cpu > 1 else config.gpu
    start_tensorflow(device if chosen else None, cpus=config.replicas_cpu, workers=bool(several))
    from sesemi.assembly import method
    from sesemi.distribution import devices, workers

    say = _silent if config.quiet or not workers.is_chief() else _say
    if devices.misses_its_gpu(config):
        say(f"`gpu={config.gpu}`: TensorFlow sees no such GPU here; running on the CPU (README has what a GPU needs)")
    for name in method.without_effect(config, origins):
        say(f"`{name}`: {config.method} has no strong view; it changes nothing")
    return say


def _say(line: str) -> None:
    show(typed(line))


def _warn(line: str) -> None:
    tell(typed(line))


def _silent(line: str) -> None:
    """Say nothing."""


def _look(config: RunConfig, origins: Origins, action: str) -> None:
    from sesemi.runs import look

    if action == "preview":
        show(look.preview(config))
        return
    for line in look.dry_run(config, origins):
        show(typed(line))


def _print_summary(found: dict[str, Any], config: RunConfig) -> None:
    from sesemi.runs import results
    from sesemi.runs.folder import RunFolder

    show(*typed(results.summary(found, RunFolder(config.run_dir))).splitlines())


def _stopped_by(error: Exception, config: RunConfig | None, program: str, *, traceback: bool) -> int:
    """Say in one line why a run stopped, and return the exit code; what no user can cure is raised again."""
    if isinstance(error, InputError) and not traceback:
        tell(f"{program}: {as_typed(error)}")
        return EXIT_BAD_INPUT
    if (missing := says_missing(error)) and not traceback:
        tell(f"{program}: {missing}")
        return EXIT_BAD_INPUT
    if config is None or "sesemi.runs.run" not in sys.modules:
        raise error
    from sesemi.distribution import workers
    from sesemi.runs.callbacks import Interrupted
    from sesemi.runs.run import UnreadableError
    from sesemi.training.guard import NonFiniteLossError

    if isinstance(error, Interrupted):
        show(f"{error}; the same command continues from there")
        return 128 + error.number
    if isinstance(error, NonFiniteLossError | WriteError | UnreadableError) and not traceback:
        continues = isinstance(error, UnreadableError)
        hint = "; once that is mended, the same command continues from the last checkpoint" if continues else ""
        tell(f"{config.run_dir}: {typed(str(error))}{hint}")
        return EXIT_STOPPED_BY_ERROR
    if isinstance(error, workers.STOPPED_BY) and not traceback:
        return _stopped_by_tensorflow(error, config, program)
    raise error


def _stopped_by_tensorflow(error: Exception, config: RunConfig, program: str) -> int:
    """Say that memory was not enough, or which other worker is gone; anything else is raised again."""
    from sesemi.distribution import workers

    if workers.is_out_of_memory(error):
        wrong = InputError("out of memory", setting="batch_size", value=config.batch_size, cure="use a smaller one")
        tell(f"{program}: {as_typed(wrong)}")
        return EXIT_BAD_INPUT
    gone = workers.who_is_gone(error)
    if gone is None:
        raise error
    tell(
        f"worker {workers.number()}: {gone} is gone ({type(error).__name__}); the same commands, on all of them, "
        "continue from the last checkpoint"
    )
    # TensorFlow would wait for the one that is gone before it lets go.
    os._exit(EXIT_STOPPED_BY_ERROR)
