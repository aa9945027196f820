"""The command line: argparse -> `RunConfig`. Imports no TensorFlow, so that ``--help`` is instant."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence

from sesemi.config import presets
from sesemi.config import run_config as config_module
from sesemi.config.checks import CHOICES
from sesemi.distribution import rendezvous
from sesemi.errors import InputError

EXIT_BAD_INPUT = 2
# The first word after ``python -m sesemi``, and the module whose `main` it is.
COMMANDS = {
    "compare": "sesemi.commands.compare",
    "predict": "sesemi.commands.predict",
    "evaluate": "sesemi.commands.evaluate",
    "export": "sesemi.commands.export",
    "label-next": "sesemi.commands.label_next",
}
# The script with images from elsewhere, as it was in 2019.
TINY_IMAGES = {"dataset": "cifar100", "labels": "all", "extra": 237_203}
TINY_IMAGES_NETWORKS = ("convnet", "wrn")
_STRENGTHS = {
    "shift": "largest shift of a view, in pixels",
    "noise": "standard deviation of a view's noise, on the scale of preprocessed images",
    "dropout": "rate before the class head",
    "trunk-dropout": "rate inside the network",
    "flip": "mirror half of the weak and strong views",
    "zca": "whiten the images",
}


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, exit code 2."""

    def error(self, message):
        """Print and exit."""
        # One line, not the whole usage before it.
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message} (see --help)\n")


def _labels(text: str) -> int | str:
    if text == "all":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number of images, or all") from None


def _level(text: str) -> float | str:
    if text == "random":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 0 to 1, or random") from None


def _argument(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=VALUE")
    if value in ("True", "False"):
        value = value.lower()
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def build_parser(program: str) -> argparse.ArgumentParser:
    """The parser; flags that were not given leave no attribute, so the origin of a value is known."""
    parser = OneLineParser(
        prog=program,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Train and evaluate an image classifier from few labels (SESEMI, Tran 2019). With no flags: "
        "a demo on scikit-learn's digits. The same command again continues where it stopped.",
        epilog=f"python -m sesemi {{{','.join(COMMANDS)}}} --help: what to do with what was trained.",
    )
    _add_what(parser.add_argument_group("what to run (the flags of 2019)"))
    _add_training(parser.add_argument_group("training (defaults: --dry-run prints each with its source)"))
    _add_data(parser.add_argument_group("data and evaluation"))
    _add_output(parser.add_argument_group("machine and output"))
    _add_actions(parser.add_argument_group("instead of training"))
    return parser


def _add_what(group) -> None:
    group.add_argument(
        "--network", choices=presets.NETWORKS, help="trunk (default: mini for digits, else the method's)"
    )
    group.add_argument(
        "--dataset",
        metavar="NAME",
        help=f"{', '.join(presets.DATASETS)} (default: digits); folder: your own pictures, in --data-dir",
    )
    group.add_argument(
        "--labels",
        type=_labels,
        metavar="N",
        help="labeled images, the same number of each class, or 'all' (default: "
        + ", ".join(f"{name} {facts.labels}" for name, facts in presets.DATASETS.items())
        + ")",
    )
    group.add_argument("--labels-per-class", type=int, metavar="N", help="the same as --labels, for each class")
    group.add_argument(
        "--gpu",
        metavar="ID",
        help="the GPU to use, put into CUDA_VISIBLE_DEVICES, or 'cpu' (default: 0; without a GPU the CPU is used); "
        "several, such as 0,1, share every batch",
    )
    group.add_argument(
        "--method",
        choices=tuple(presets.METHODS),
        metavar="NAME",
        help=f"{', '.join(presets.METHODS)} (default: sesemi; README says what each is)",
    )
    group.add_argument(
        "--set",
        action="append",
        type=_argument,
        metavar="NAME=VALUE",
        dest="arguments",
        help="a hyper-parameter of the method, such as weight=10; again for another (--dry-run lists them)",
    )
    group.add_argument(
        "--self-supervision",
        choices=CHOICES["self_supervision"],
        help="rotation: SESEMI's six-way head beside any other method (--set rotation_weight=1.0)",
    )


def _add_training(group) -> None:
    group.add_argument("--seed", type=int, help="everything random depends on it (default: 0)")
    group.add_argument("--epochs", type=int)
    group.add_argument(
        "--steps-per-epoch",
        type=int,
        help="updates an epoch (default: training images, for asl labeled images, // batch size; for digits 62)",
    )
    group.add_argument(
        "--batch-size",
        type=int,
        help="unlabeled images a step; a self-supervised branch sees six views of each",
    )
    group.add_argument("--labeled-batch-size", type=int, help="labeled images a step (for sesemi 6 x batch size)")
    group.add_argument("--optimizer", choices=CHOICES["optimizer"])
    group.add_argument("--learning-rate", type=float, help="of the first step")
    group.add_argument("--schedule", choices=CHOICES["schedule"], help="how the rate falls")
    group.add_argument("--learning-rate-power", type=float, help="of the polynomial; 0: constant")
    group.add_argument("--l2", type=float, help="times the sum of all squared kernels, added to the loss")
    group.add_argument("--weight-decay", type=float, help="decoupled, times the rate")
    group.add_argument(
        "--joint-forward",
        action=argparse.BooleanOptionalAction,
        help="labeled and unlabeled images in one call of the trunk, normalized together, instead of one call each",
    )
    group.add_argument(
        "--regularize-labeled",
        action=argparse.BooleanOptionalAction,
        help="the unlabeled loss covers the labeled images of a step too",
    )
    group.add_argument(
        "--promote",
        choices=CHOICES["promote"],
        help="on the way, turn the most confident unlabeled images into labeled ones: those above a threshold, or "
        "the same number of every class (balanced)",
    )
    group.add_argument("--promote-threshold", type=float, metavar="P", help="for threshold (default: 0.99)")
    group.add_argument(
        "--promote-fraction",
        type=float,
        metavar="P",
        help="for balanced: this part of all that are left, shared out evenly over the classes (default: 0.1)",
    )
    group.add_argument("--promote-from", type=int, metavar="EPOCH", help="epochs before the first (default: half)")
    group.add_argument("--promote-every", type=int, metavar="EPOCHS", help="between two (default: a twentieth)")
    group.add_argument("--precision", choices=CHOICES["precision"])
    group.add_argument(
        "--steps-per-execution",
        type=int,
        metavar="N",
        help="updates without coming back to Python (default: 1); not for methods with a teacher",
    )
    group.add_argument("--sync-batch-norm", action="store_true", help="several devices normalize their images together")
    group.add_argument("--jit", choices=CHOICES["jit"], help="XLA (auto: on with a GPU)")
    group.add_argument(
        "--config",
        metavar="FILE",
        help="take every setting from a run's config.json; flags given beside it win",
    )


def _add_data(group) -> None:
    group.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder with the data set's files or its official archive; for folder: labeled/CLASS/*, unlabeled/*, and "
        "perhaps test/CLASS/* and validation/CLASS/*",
    )
    _add_pictures(group)
    group.add_argument(
        "--labels-from",
        metavar="FILE",
        help="the labeled images: a run's split.json, or a line for each with its index or FILENAME CLASS",
    )
    for name in ("shift", "noise", "dropout", "trunk-dropout"):
        group.add_argument(f"--{name}", type=int if name == "shift" else float, help=_STRENGTHS[name])
    for name in ("flip", "zca"):
        group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=_STRENGTHS[name])
    _add_strong(group)
    group.add_argument(
        "--exclude-labeled",
        action="store_true",
        help="leave the labeled images out of the unlabeled pool",
    )
    group.add_argument(
        "--validation",
        type=float,
        metavar="FRACTION",
        help="of the labeled images of each class, held out to select the best epoch (default: 0)",
    )
    group.add_argument(
        "--views",
        type=int,
        choices=CHOICES["views"],
        help="8 adds the error of the average over eight views at the end (default: 8)",
    )


def _add_pictures(group) -> None:
    group.add_argument(
        "--labels-file", metavar="FILE", help="for folder: a table path,label (empty or -1: unlabeled) over any folder"
    )
    group.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="for folder and tfds: of height and width (default: 32)"
    )
    group.add_argument(
        "--resize",
        choices=CHOICES["resize"],
        help="for folder and tfds: cut out the middle, or pad with black (default: crop)",
    )
    group.add_argument(
        "--strict", action="store_true", help="for folder: broken files and duplicates are an error, not left out"
    )
    group.add_argument(
        "--memory-limit",
        type=int,
        metavar="MIB",
        help="of training images in memory; what is larger is read from its files all the time (default: 4096)",
    )
    group.add_argument(
        "--extra", type=int, metavar="N", help="half of each unlabeled batch comes from N images from elsewhere"
    )
    group.add_argument(
        "--extra-source",
        metavar="SOURCE",
        help="tiny-images[:DIR], imagenet32[:DIR], folder:DIR or npy:FILE (default: tiny-images if there is a copy in "
        "datasets/, else imagenet32)",
    )


def _add_strong(group) -> None:
    group.add_argument(
        "--strong-operations", type=int, metavar="N", help="RandAugment operations on a strong view (default: 2)"
    )
    group.add_argument(
        "--strong-level",
        type=_level,
        metavar="L",
        help="how far an operation goes in its range, from 0 to 1, or random (default: random)",
    )
    group.add_argument(
        "--strong-probability",
        type=float,
        metavar="P",
        help="probability that a drawn operation is applied (default: 0.5)",
    )
    group.add_argument(
        "--cutout", type=float, metavar="PART", help="side of the grey square in a strong view; 0: none (default: 0.5)"
    )
    group.add_argument(
        "--cutout-side", choices=CHOICES["cutout_side"], help="random: up to that; fixed: always that (default: random)"
    )
    group.add_argument(
        "--strong-fill",
        type=int,
        metavar="GREY",
        help="grey of the square and of what lies outside of an image, 0 to 255 (default: 127)",
    )


def _add_output(group) -> None:
    group.add_argument(
        "--workers",
        metavar="HOST:PORT,…",
        help="processes that share every batch, the same list on each (docs/scaling.md); or set TF_CONFIG",
    )
    group.add_argument("--worker", type=int, metavar="N", help="which of --workers this is, from 0")
    group.add_argument(
        "--replicas-cpu", type=int, metavar="N", help="split every batch over N parts of the CPU, as over N GPUs"
    )
    group.add_argument("--output", metavar="DIR", help="folder of all runs (default: runs)")
    group.add_argument("--name", help="folder of this run in it (default: from the settings)")
    group.add_argument("--tensorboard", action="store_true", help="also write TensorBoard logs")
    group.add_argument("--quiet", action="store_true", help="print only errors and the result")


def _add_actions(group) -> None:
    exclusive = group.add_mutually_exclusive_group()
    exclusive.add_argument(
        "--dry-run",
        action="store_true",
        help="print every value with its origin, memory, and the time it will take; train nothing",
    )
    exclusive.add_argument("--preview", action="store_true", help="write a picture of what each branch sees, and stop")


def main(
    arguments: Sequence[str] | None = None,
    program: str = "train_evaluate_sesemi.py",
    instead: dict[str, object] | None = None,
    networks: Sequence[str] = presets.NETWORKS,
) -> int:
    """Parse, run, print.

    Args:
        arguments: default: of the command line.
        program: its name.
        instead: other defaults, by name of the setting.
        networks: those that are to be had.

    Returns:
        Exit code: 0 done, 2 bad arguments or data (one line on stderr), 3 training stopped by NaN or by the
        disk, 130 or 143 interrupted (the same command continues).
    """
    given = vars(build_parser(program).parse_args(arguments))
    action = "dry-run" if given.pop("dry_run", False) else "preview" if given.pop("preview", False) else "train"
    try:
        if "arguments" in given:
            given["arguments"] = dict(given["arguments"])
        base, inherited = config_module.read_settings(given.pop("config"), given) if "config" in given else ({}, {})
        own = given.get("arguments", {})
        inherited = {name: origin for name, origin in inherited.items() if name.removeprefix("arguments.") not in own}
        both = base.get("arguments", {}) | own
        for name, value in (instead or {}).items():
            if name not in given and name not in base and f"{name}_source" not in given:
                given[name], inherited[name] = value, f"default: {program}"
        if given.get("network", networks[0]) not in networks:
            raise InputError(f"--network {given['network']}: choose from {', '.join(networks)}")
        config, origins = config_module.resolve({**base, **given, "arguments": both}, inherited)
        # A scheduler's own choice of GPU stands unless the user says otherwise.
        if "gpu" in given or "CUDA_VISIBLE_DEVICES" not in os.environ:
            select_device("cpu" if config.replicas_cpu > 1 else config.gpu)
        prepare_tensorflow()
        from sesemi.distribution import start

        several = tell_workers(config)
        if several and action != "train":
            raise InputError(f"--{action}: looks at one process; leave --workers, --worker and TF_CONFIG out")
        if several:
            names, number = several
            if not config.quiet:
                print(f"worker {number} of {len(names)}: waiting for the others", flush=True)
            rendezvous.wait_for_all(names, number)
        start.load_tensorflow(cpus=config.replicas_cpu, workers=bool(several))
        from sesemi.runs import run

        return run.execute(config, origins, action=action)
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; the same command continues from the last checkpoint, if there is one")
        return 128 + signal.SIGINT


def select_device(gpu: str) -> None:
    """Say which GPU TensorFlow may see; has to happen before it is loaded."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1" if gpu == "cpu" else gpu


def tell_workers(config) -> tuple[list[str], int] | None:
    """Say in TF_CONFIG which processes share the run; has to happen before TensorFlow is loaded.

    Returns:
        All of them, and which of them this is; None for a run of one process.
    """
    if config.workers is not None:
        task = {"type": "worker", "index": config.worker}
        cluster = {"worker": config.workers.split(",")}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return config_module.cluster_of(os.environ.get("TF_CONFIG"))


def prepare_tensorflow() -> None:
    """Say what Keras stands on and how much TensorFlow may print; has to happen before they are loaded."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
