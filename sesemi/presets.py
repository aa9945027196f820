"""What each paper used for (method, dataset, network), every value with its source.

Standard library only: the command line reads this before TensorFlow is loaded.
"""

from dataclasses import dataclass
from typing import Any

PAPER = "Tran 2019, arXiv:1906.10343, and its published program"
OURS = "sesemi's own choice"
_ELSEWHERE = "as Tran 2019 on other data"

METHODS = ("sesemi", "supervised", "asl")
NETWORKS = ("convnet", "wrn", "nin", "mini")


@dataclass(frozen=True)
class DatasetFacts:
    """What must be known of a data set before it is loaded.

    Args:
        classes: number of classes.
        train: number of training images.
        labels: default number of labeled images.
        flip: whether a left-right mirrored image keeps its class.
        zca: whether the 2019 program whitened it.
        epochs: default passes, an epoch being ``train // batch_size`` steps.
        source: where `labels` and `epochs` come from.
    """

    classes: int
    train: int
    labels: int
    flip: bool
    zca: bool
    epochs: int
    source: str


DATASETS = {
    "digits": DatasetFacts(classes=10, train=1000, labels=50, flip=False, zca=False, epochs=30, source=OURS),
    "cifar10": DatasetFacts(classes=10, train=50_000, labels=4000, flip=True, zca=True, epochs=50, source=PAPER),
    "cifar100": DatasetFacts(classes=100, train=50_000, labels=10_000, flip=True, zca=True, epochs=50, source=PAPER),
    "svhn": DatasetFacts(classes=10, train=73_257, labels=1000, flip=False, zca=False, epochs=30, source=PAPER),
}


# Where two thousand updates are all there is, BatchNorm's averages lag behind weights that still move, and those of
# upright and of rotated digits cannot be mixed: the rate falls to nothing in a straight line, and both batches share
# one trunk call (README has the measurement).
_DIGITS = {"learning_rate_power": 1.0, "joint_forward": True}


@dataclass(frozen=True)
class Setting:
    """A value with its origin (``paper``, ``default`` or ``user``) and the source to look it up in."""

    value: Any
    origin: str
    source: str


def _setting(value: Any, source: str) -> Setting:
    return Setting(value, "paper" if source == PAPER else "default", source)


def settings(method: str, dataset: str, network: str) -> dict[str, Setting]:
    """Every setting that is not an identity of the run, as the source of `method` on `dataset` had it.

    Args:
        method: one of `METHODS`.
        dataset: one of `DATASETS`.
        network: one of `NETWORKS`.

    Returns:
        Setting by name. ``steps_per_epoch`` is None: it depends on the number of training images,
        for asl of labeled ones.
    """
    facts = DATASETS[dataset]
    asl = method == "asl"
    # Tran 2019: dropout .2 before the class head; on SVHN .5 for convnet and wrn (for asl only for convnet),
    # and .5 inside convnet.
    strong_dropout = dataset == "svhn" and (network == "convnet" or (network == "wrn" and not asl))
    asl_epochs = asl and dataset != "digits"
    values = {
        "labels": (facts.labels, facts.source),
        "epochs": (300, PAPER) if asl_epochs else (facts.epochs, facts.source),
        "steps_per_epoch": (None, PAPER),
        "batch_size": (16, PAPER),
        "labeled_batch_size": (None, PAPER),
        "learning_rate": (0.05, PAPER),
        "learning_rate_power": (0.5, PAPER),
        "momentum": (0.9, PAPER),
        "l2": (5e-4, PAPER),
        "rotation_weight": (1.0, PAPER),
        "joint_forward": (False, PAPER),
        "dropout": (0.5 if strong_dropout else 0.2, PAPER),
        "trunk_dropout": (0.5 if dataset == "svhn" and network == "convnet" else 0.0, PAPER),
        "shift": (2, PAPER),
        "flip": (facts.flip, PAPER),
        "noise": (0.15, PAPER),
        "gcn_scale": (55.0, PAPER),
        "zca": (facts.zca, PAPER),
        "zca_ridge": (0.1, PAPER),
        "exclude_labeled": (False, PAPER),
        "validation": (0.0, PAPER),
        "views": (8, PAPER),
        "precision": ("float32", PAPER),
        "jit": ("auto", OURS),
    }
    if dataset == "digits":
        values = {name: (value, _ELSEWHERE if source == PAPER else source) for name, (value, source) in values.items()}
        values |= {name: (value, OURS) for name, value in _DIGITS.items()}
    return {name: _setting(value, source) for name, (value, source) in values.items()}
