"""Checks of settings that may not be together. Every error is one line, before anything heavy is loaded."""

import re
from typing import Any

from sesemi.config.registry import ANY_SIZE, DATASETS, TFDS, facts, is_any_size, kind
from sesemi.config.sections import AllSettings
from sesemi.errors import InputError, did_you_mean

# A setting of the first column is of use only where that of the second has one of these values.
_USED_WITH = {
    "promote_threshold": ("promote", ("threshold",)),
    "promote_fraction": ("promote", ("balanced",)),
    "promote_from": ("promote", ("threshold", "balanced")),
    "promote_every": ("promote", ("threshold", "balanced")),
    "learning_rate_power": ("schedule", ("polynomial",)),
}
# These are of use only for some data sets.
_USED_FOR = {
    "image_size": ANY_SIZE,
    "resize": ANY_SIZE,
    "labels_file": ("folder",),
    "strict": ("folder",),
}
_FOLDER_NAME, _ADDRESS = re.compile(r"[\w.+=@-]+"), re.compile(r"\S+:\d+")
_LARGEST_PORT = 65535


def check(config: AllSettings) -> None:
    """Refuse values of a `RunConfig` that do not go together.

    Raises:
        InputError: The message names the setting, its value, and what to do.
    """
    check_dataset(config.dataset)
    _check_labels(config)
    _check_promotion(config)
    if config.self_supervision == "rotation" and config.method in ("sesemi", "asl"):
        raise _error(config, "self_supervision", f"{config.method} has that term already", "leave it out")
    if not _FOLDER_NAME.fullmatch(config.name) or config.name in (".", ".."):
        needed = "a folder name of letters, digits and . _ + = @ - is needed"
        raise InputError(needed, setting="name", value=repr(config.name))
    if wants_extra(config.extra, config.extra_source) and config.batch_size % 2:
        raise _error(config, "batch_size", "half of it are extra images", "give an even number")
    _check_devices(config)


def _error(config: AllSettings, name: str, problem: str, cure: str | None = None) -> InputError:
    return InputError(problem, setting=name, value=getattr(config, name), cure=cure)


def check_dataset(name: Any) -> None:
    """Refuse a name that is no data set's.

    Raises:
        InputError: The message lists the names.
    """
    if not isinstance(name, str) or name == TFDS or kind(name) not in DATASETS:
        raise InputError(
            f"choose from {', '.join(DATASETS)}", setting="dataset", value=name, cure=did_you_mean(name, DATASETS)
        )


def _check_labels(config: AllSettings) -> None:
    known = facts(config.dataset)
    if config.labels == "file" and config.labels_from is None:
        raise _error(config, "labels", "give a number of images, or all")
    if isinstance(config.labels, str):
        return
    if known.train is not None and known.classes is not None:
        check_label_count(config.labels, known.classes, known.train)
    elif config.labels < 2:
        raise _error(config, "labels", "at least one image of each class is needed")


def check_label_count(count: int, classes: int, images: int, others: int = 0) -> None:
    """Refuse a number of labeled images that cannot be split evenly over the classes.

    Args:
        count: Number of labeled images asked for; the number of all that have a label is always accepted.
        classes: Number of classes.
        images: Number of training images that have a label.
        others: Number of training images that have none.

    Raises:
        InputError: The message says the nearest counts that work.
    """

    def error(problem: str, cure: str) -> InputError:
        return InputError(problem, setting="labels", value=count, cure=cure)

    if count == images:
        return
    most = images // classes * classes
    if count < classes:
        raise error("at least one image a class is needed", f"use {classes} or more")
    if count > images:
        which = f"{images} of {images + others} training images have a label" if others else f"{images} training images"
        raise error(f"only {which}" if others else f"there are only {which}", f"use {most} or all")
    if count % classes:
        below = count - count % classes
        above = below + classes
        better = f"{below} or {above}" if above <= most else f"{below} or all"
        raise error(f"not a multiple of {classes} classes", f"use {better}")


def _check_promotion(config: AllSettings) -> None:
    if config.promote == "none":
        return
    if config.labels == "all" and not is_any_size(config.dataset):
        raise InputError(
            "with `labels=all` there is no unlabeled image to promote", setting="promote", cure="leave it out"
        )
    if config.promote_from >= config.epochs:
        raise _error(config, "promote_from", f"there are only {config.epochs} epochs", "use fewer")


def _check_devices(config: AllSettings) -> None:
    names = config.gpu.split(",")
    if not all(name.strip() for name in names):
        raise InputError(
            "give a GPU's number, such as `gpu=0`, several as 0,1, or `gpu=cpu`", setting="gpu", value=repr(config.gpu)
        )
    if len(set(names)) < len(names) or (len(names) > 1 and "cpu" in names):
        raise _error(config, "gpu", "name each GPU once, such as `gpu=0,1`, or give `gpu=cpu` alone")
    if config.replicas_cpu > 1 and len(names) > 1:
        raise _error(config, "replicas_cpu", f"not together with `gpu={config.gpu}`", "leave one out")
    _check_workers(config)
    steps = config.steps_per_epoch
    if steps is not None and steps % config.steps_per_execution:
        problem = f"does not divide the {steps} steps of an epoch"
        raise _error(config, "steps_per_execution", problem, "give another, or another `steps_per_epoch`")


def _check_workers(config: AllSettings) -> None:
    if (config.workers is None) != (config.worker is None):
        name, missing = ("workers", "`worker=N`") if config.worker is None else ("worker", "`workers=HOST:PORT,…`")
        raise InputError(f"needs {missing} beside it", setting=name)
    if config.workers is None or config.worker is None:
        return
    names = config.workers.split(",")
    if len(names) < 2 or len(set(names)) < len(names) or not all(map(_ADDRESS.fullmatch, names)):
        raise _error(config, "workers", "give two or more, each once, such as HOST:PORT,HOST:PORT")
    for name in names:
        port = name.rpartition(":")[2]
        if len(port) > len(str(_LARGEST_PORT)) or not 0 < int(port) <= _LARGEST_PORT:
            raise _error(config, "workers", f"the port of {name} must lie from 1 to {_LARGEST_PORT}")
    if not 0 <= config.worker < len(names):
        raise _error(config, "worker", f"must lie from 0 to {len(names) - 1}")
    if config.replicas_cpu > 1:
        raise _error(config, "replicas_cpu", "not together with `workers`", "leave one out")


def check_use(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Refuse settings that the user gave and that nothing would use.

    Raises:
        InputError: The message names the setting that it needs.
    """
    for name, (other, useful) in _USED_WITH.items():
        if origins.get(name) == "user" and values[other] not in useful:
            raise _of_no_use(values, name, other, useful, "add it, or leave this out")
    for name, useful in _USED_FOR.items():
        if origins.get(name) == "user" and kind(values["dataset"]) not in useful:
            raise _of_no_use(values, name, "dataset", useful, "leave it out")
    if wants_extra(values["extra"], values["extra_source"]) and values["method"] in ("supervised", "asl"):
        given = "extra" if values["extra"] is not None else "extra_source"
        raise InputError(f"{values['method']} never sees an unlabeled image", setting=given, cure="leave it out")


def _of_no_use(values: dict[str, Any], name: str, other: str, useful: tuple[str, ...], cure: str) -> InputError:
    needed = " or ".join(f"`{other}={value}`" for value in useful)
    return InputError(f"of use only with {needed}", setting=name, value=values[name], cure=cure)


def wants_extra(extra: int | None, extra_source: str | None) -> bool:
    """Return whether unlabeled images from elsewhere are asked for."""
    return extra is not None or extra_source is not None
