"""What may stand in a `RunConfig`; errors in one line, before anything heavy is loaded. Standard library only."""

import dataclasses
import math
import re
from typing import Any

from sesemi.config import presets
from sesemi.errors import InputError

CHOICES = {
    "method": tuple(presets.METHODS),
    "network": presets.NETWORKS,
    "dataset": tuple(presets.DATASETS),
    "resize": ("crop", "pad"),
    "optimizer": ("sgd", "adam"),
    "schedule": ("polynomial", "cosine", "cosine_7_16"),
    "cutout_side": ("random", "fixed"),
    "self_supervision": ("none", "rotation"),
    "promote": ("none", "threshold", "balanced"),
    "precision": ("float32", "bfloat16", "float16"),
    "jit": ("auto", "on", "off"),
    "views": (1, 8),
}
# name -> (smallest, largest, whether the bounds themselves are allowed)
_RANGES = {
    "seed": (0, 2**31 - 1, True),
    "epochs": (1, 10**6, True),
    "steps_per_epoch": (1, 10**8, True),
    "batch_size": (1, 10**5, True),
    "labeled_batch_size": (1, 10**6, True),
    "learning_rate": (0.0, 1e6, False),
    "learning_rate_power": (0.0, 100.0, True),
    "momentum": (0.0, 1.0, True),
    "l2": (0.0, 1e6, True),
    "weight_decay": (0.0, 1e6, True),
    "promote_threshold": (0.0, 1.0, True),
    "promote_fraction": (0.0, 1.0, False),
    "promote_from": (1, 10**6, True),
    "promote_every": (1, 10**6, True),
    "dropout": (0.0, 0.99, True),
    "trunk_dropout": (0.0, 0.99, True),
    "shift": (0, 8, True),
    "noise": (0.0, 1e6, True),
    "strong_operations": (0, 14, True),
    "strong_probability": (0.0, 1.0, True),
    "cutout": (0.0, 1.0, True),
    "strong_fill": (0, 255, True),
    "gcn_scale": (0.0, 1e6, False),
    "zca_ridge": (0.0, 1e6, False),
    "validation": (0.0, 0.9, True),
    "image_size": (8, 1024, True),
    "memory_limit": (1, 10**9, True),
    "extra": (1, 10**9, True),
    "replicas_cpu": (1, 64, True),
    "steps_per_execution": (1, 10**6, True),
}


def check(config) -> None:
    """Refuse a `sesemi.config.run_config.RunConfig` with a value of the wrong type or out of range.

    Raises:
        InputError: with the flag, what was received and what to give.
    """
    for name in CHOICES:
        check_choice(name, getattr(config, name))
    for field in dataclasses.fields(config):
        _check_type(field.name, getattr(config, field.name), field.type)
    for name in _RANGES:
        _check_range(name, getattr(config, name))
    _check_labels(config)
    level = config.strong_level
    if level != "random" and (isinstance(level, str) or not 0.0 <= level <= 1.0):
        raise InputError(f"--strong-level {level}: give a number from 0 to 1, or random")
    if config.self_supervision == "rotation" and config.method in ("sesemi", "asl"):
        raise InputError(f"--self-supervision rotation: {config.method} has that term already; leave it out")
    any_size = presets.kind(config.dataset) in presets.ANY_SIZE
    if config.promote != "none" and config.labels == "all" and not any_size:
        raise InputError("--promote: with --labels all there is no unlabeled image to promote; leave it out")
    if config.promote != "none" and config.promote_from >= config.epochs:
        raise InputError(f"--promote-from {config.promote_from}: there are only {config.epochs} epochs; use fewer")
    if not re.fullmatch(r"[\w.+=@-]+", config.name) or config.name in (".", ".."):
        raise InputError(f"--name {config.name!r}: a folder name of letters, digits and . _ + = @ - is needed")
    if wants_extra(vars(config)) and config.batch_size % 2:
        raise InputError(f"--batch-size {config.batch_size}: half of it are extra images; give an even number")
    _check_devices(config)


def _check_devices(config) -> None:
    names = config.gpu.split(",")
    if not all(name.strip() for name in names):
        raise InputError(f"--gpu {config.gpu!r}: give a GPU's number, such as --gpu 0, several as 0,1, or --gpu cpu")
    if len(set(names)) < len(names) or (len(names) > 1 and "cpu" in names):
        raise InputError(f"--gpu {config.gpu}: name each GPU once, such as --gpu 0,1, or give --gpu cpu alone")
    if config.replicas_cpu > 1 and len(names) > 1:
        raise InputError(f"--replicas-cpu {config.replicas_cpu}: not together with --gpu {config.gpu}; leave one out")
    _check_workers(config)
    steps = config.steps_per_epoch
    if steps is not None and steps % config.steps_per_execution:
        raise InputError(
            f"--steps-per-execution {config.steps_per_execution}: does not divide the {steps} steps of an epoch; give "
            "another, or another --steps-per-epoch"
        )


def _check_workers(config) -> None:
    if (config.workers is None) != (config.worker is None):
        there, missing = ("--workers", "--worker N") if config.worker is None else ("--worker", "--workers HOST:PORT,…")
        raise InputError(f"{there}: needs {missing} beside it")
    if config.workers is None:
        return
    names = config.workers.split(",")
    if len(names) < 2 or len(set(names)) < len(names) or not all(re.fullmatch(r"\S+:\d+", name) for name in names):
        raise InputError(f"--workers {config.workers}: give two or more, each once, such as HOST:PORT,HOST:PORT")
    if not 0 <= config.worker < len(names):
        raise InputError(f"--worker {config.worker}: must lie from 0 to {len(names) - 1}")
    if config.replicas_cpu > 1:
        raise InputError(f"--replicas-cpu {config.replicas_cpu}: not together with --workers; leave one out")


# A setting of the first column is of use only where that of the second has one of these values.
_USED_WITH = {
    "promote_threshold": ("promote", ("threshold",)),
    "promote_fraction": ("promote", ("balanced",)),
    "promote_from": ("promote", ("threshold", "balanced")),
    "promote_every": ("promote", ("threshold", "balanced")),
    "learning_rate_power": ("schedule", ("polynomial",)),
}


# And of these only for pictures of any size, or for a folder.
_USED_FOR = {
    "image_size": presets.ANY_SIZE,
    "resize": presets.ANY_SIZE,
    "labels_file": ("folder",),
    "strict": ("folder",),
}


def check_use(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Refuse what the user set and nothing would use.

    Raises:
        InputError: with the flag, and the one that it needs.
    """
    for name, (other, useful) in _USED_WITH.items():
        if origins.get(name) == "user" and values[other] not in useful:
            needed = " or ".join(f"{_flag(other)} {value}" for value in useful)
            raise InputError(f"{_flag(name)} {values[name]}: of use only with {needed}; add it, or leave this out")
    for name, useful in _USED_FOR.items():
        if origins.get(name) == "user" and presets.kind(values["dataset"]) not in useful:
            needed = " or ".join(f"--dataset {value}" for value in useful)
            raise InputError(f"{_flag(name)} {values[name]}: of use only with {needed}; leave it out")
    if wants_extra(values) and values["method"] in ("supervised", "asl"):
        given = "--extra" if values["extra"] is not None else "--extra-source"
        raise InputError(f"{given}: {values['method']} never sees an unlabeled image; leave it out")


def wants_extra(values: dict[str, Any]) -> bool:
    """Whether unlabeled images from elsewhere are asked for."""
    return values["extra"] is not None or values["extra_source"] is not None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def check_choice(name: str, value: Any) -> None:
    """Refuse a value that is not in `CHOICES`."""
    if name == "dataset" and isinstance(value, str):
        value = value if value == presets.TFDS else presets.kind(value)
    if value not in CHOICES[name]:
        raise InputError(f"{_flag(name)} {value}: choose from {', '.join(map(str, CHOICES[name]))}")


def _check_type(name: str, value: Any, expected: Any) -> None:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        wanted = getattr(expected, "__name__", str(expected))
        raise InputError(f"{_flag(name)} {value!r}: of type {wanted} is needed, got {type(value).__name__}")


def _check_range(name: str, value: Any) -> None:
    if value is None:
        return
    low, high, closed = _RANGES[name]
    inside = low <= value <= high if closed else low < value <= high
    if not inside or not math.isfinite(value):
        least = f"from {low}" if closed else f"above {low}"
        raise InputError(f"{_flag(name)} {value}: must lie {least} to {high}")


def _check_labels(config) -> None:
    facts = presets.DATASETS[presets.kind(config.dataset)]
    if isinstance(config.labels, str):
        if config.labels == "file" and config.labels_from is not None:
            return
        if config.labels != "all":
            raise InputError(f"--labels {config.labels}: give a number of images, or all")
        return
    if facts.train is not None:
        check_label_count(config.labels, facts.classes, facts.train)
    elif config.labels < 2:
        raise InputError(f"--labels {config.labels}: at least one image of each class is needed")


def check_label_count(count: int, classes: int, images: int) -> None:
    """Refuse a number of labeled images that cannot be split evenly over the classes.

    Args:
        count: labeled images asked for; the number of all images is always accepted.
        classes: number of classes.
        images: number of training images.

    Raises:
        InputError: with the nearest counts that work.
    """
    if count == images:
        return
    most = images // classes * classes
    if count < classes:
        raise InputError(f"--labels {count}: at least one image a class is needed; use {classes} or more")
    if count > images:
        raise InputError(f"--labels {count}: there are only {images} training images; use {most} or all")
    if count % classes:
        below = count - count % classes
        above = below + classes
        hint = f"{below} or {above}" if above <= most else f"{below} or all"
        raise InputError(f"--labels {count}: not a multiple of {classes} classes; use {hint}")
