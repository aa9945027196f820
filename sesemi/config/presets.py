"""Presets: the values of each paper for (method, data set, network), where they differ from the settings' defaults."""

from typing import Any, NamedTuple

from sesemi.config.machine import has_gpu
from sesemi.config.registry import facts, is_any_size
from sesemi.config.sections import SETTINGS
from sesemi.config.sources import (
    ADDED,
    ELSEWHERE,
    LAINE,
    LIKE_FIXMATCH,
    MIXMATCH,
    OURS,
    PAPER,
    PAPERS,
    STRONG_VIEW,
    TARVAINEN,
    TRICKS,
    USB,
)

_FIRST = ("sesemi", "supervised", "asl")
# The "Tricks" project trains every method alike: CIFAR-10, 4,000 labels, CNN-13. Its weight decay of 5e-4 is an l2 of
# 2.5e-4 here; its colour jitter we have not; preprocessing and noise are those of Tran 2019.
_TRICKS_COMMON = {
    "epochs": 400, "batch_size": 100, "labeled_batch_size": 100, "learning_rate": 0.1, "schedule": "cosine",
    "l2": 2.5e-4, "dropout": 0.0, "trunk_dropout": 0.0,
}  # fmt: skip
_TRICKS = {
    "pi_model": {"trunk_dropout": 0.5},
    "temporal_ensembling": {},
    "mean_teacher": {},
    "vat": {"trunk_dropout": 0.5},
    "ict": {},
    "pseudo_label": {},
    "mix_pseudo_label": {},
}
# 100,000 updates of 64 + 64 images; Adam at a constant rate, decoupled decay of 0.02 times the rate.
_MIXMATCH = {
    "epochs": 128, "batch_size": 64, "labeled_batch_size": 64, "optimizer": "adam", "learning_rate": 0.002,
    "learning_rate_power": 0.0, "momentum": 0.9, "l2": 0.0, "weight_decay": 0.02, "dropout": 0.0, "noise": 0.0,
    "zca": False, "joint_forward": True,
}  # fmt: skip
# 2^20 updates of 64 + 7 x 64 images; PyTorch's weight decay of 5e-4 is an l2 of 2.5e-4 here.
_FIXMATCH = {
    "epochs": 1024, "steps_per_epoch": 1024, "batch_size": 448, "labeled_batch_size": 64, "learning_rate": 0.03,
    "schedule": "cosine_7_16", "l2": 2.5e-4, "dropout": 0.0, "noise": 0.0, "shift": 4, "zca": False,
    "joint_forward": True,
}  # fmt: skip
# What differs from that, and whether USB has the method at all.
_STRONG: dict[str, tuple[dict[str, Any], str]] = {
    "fixmatch": ({}, USB),
    "uda": ({}, USB),
    "flexmatch": ({}, USB),
    "adamatch": ({}, USB),
    "softmatch": ({}, USB),
    "freematch": ({}, USB),
    "crmatch": ({}, USB),
    "remixmatch": ({"batch_size": 64}, USB),
    "debiasmatch": ({}, LIKE_FIXMATCH),
    "dst": ({}, LIKE_FIXMATCH),
    "self_tuning": ({"batch_size": 64}, LIKE_FIXMATCH),
    "noisy_student": ({"dropout": 0.5}, LIKE_FIXMATCH),
}
# On digits a run has 1,860 updates, and a running average of the last thousand would be one of a half-trained network.
_AVERAGED = ("fixmatch", "uda", "flexmatch", "adamatch", "softmatch", "freematch", "crmatch", "remixmatch")
_PAIRED = {"batch_size": 64, "labeled_batch_size": 64}
# Where two thousand updates are all there is, BatchNorm's averages lag behind weights that still move, and those of
# upright and of rotated digits cannot be mixed: the rate falls to nothing in a straight line, and both batches share
# one trunk call (README has the measurement).
_DIGITS = {"learning_rate_power": 1.0, "joint_forward": True, "steps_per_epoch": 62}
# On somebody's own images too the number of updates does not depend on how many there are.
_OWN_IMAGES = {"learning_rate_power": 1.0, "joint_forward": True, "steps_per_epoch": 200}
# Mean Teacher's best CIFAR-10 network: 31 of 128 images labeled, translation by up to 4 pixels, weight decay 2e-4, a
# rate whose cosine would end at epoch 350 (here: at 300).
_SHAKE = {
    "epochs": 300, "batch_size": 97, "labeled_batch_size": 31, "learning_rate": 0.05, "schedule": "cosine",
    "l2": 1e-4, "dropout": 0.0, "trunk_dropout": 0.0, "shift": 4, "noise": 0.0, "zca": False, "joint_forward": True,
    "regularize_labeled": True,
}  # fmt: skip
_SHAKE_ARGUMENTS = {"weight": 100.0, "ramp_up": 5 / 300, "ema_decay": 0.99, "two_heads": True}


class Preset(NamedTuple):
    """A value and the source to look it up in."""

    value: Any
    source: str


def method(dataset: str) -> str:
    """Return the method if the user names none: on pictures of one's own the one that was best on several sets.

    docs/results.md has the measurement. The data sets of 2019 have the method of 2019.
    """
    return "flexmatch" if is_any_size(dataset) else "sesemi"


def network(method: str, dataset: str, gpu: str | None = None) -> str:
    """Return the network if the user names none: that of the method's paper, and the small one on the small digits.

    On pictures of one's own it is the small one too if there is no GPU: a wide one would take half a day.

    Args:
        method: A key of `registry.METHODS`.
        dataset: Name of a data set.
        gpu: Value of the setting of that name; None if nobody gave it.
    """
    if dataset == "digits" or (is_any_size(dataset) and not has_gpu(gpu)):
        return "mini"
    wide = method in _STRONG or method == "mixmatch"
    if is_any_size(dataset):
        return "wrn28_2" if wide else "wrn"
    if method in _STRONG and dataset == "cifar100":
        return "wrn28_8"
    return "wrn28_2" if wide else "cnn13" if method in _TRICKS else "wrn"


def settings(method: str, dataset: str, network: str) -> dict[str, Preset]:
    """Return the value of every setting that has a default, as the source of `method` on `dataset` had it.

    Args:
        method: A key of `registry.METHODS`.
        dataset: Name of a data set.
        network: One of `registry.NETWORKS`.

    Returns:
        Presets by name. ``steps_per_epoch`` is None for one pass over the images that the method draws from.
    """
    values = {name: (setting.default, setting.source) for name, setting in SETTINGS.items()}
    values |= _of_dataset(method, dataset, network)
    own = _DIGITS if dataset == "digits" else _OWN_IMAGES if is_any_size(dataset) else None
    if own is not None:
        values = {name: (value, ELSEWHERE if source == PAPER else source) for name, (value, source) in values.items()}
        batches = {} if method in _FIRST else _PAIRED
        values |= {name: (value, OURS) for name, value in (own | batches).items()}
        if (method, dataset) == ("asl", "digits"):
            values["steps_per_epoch"] = (None, OURS)
    elif (method, network) == ("mean_teacher", "shakeshake26"):
        values |= {name: (value, TARVAINEN) for name, value in _SHAKE.items()}
    elif method in _TRICKS:
        values |= {name: (value, TRICKS) for name, value in (_TRICKS_COMMON | _TRICKS[method]).items()}
    elif method == "mixmatch":
        values |= {name: (value, MIXMATCH) for name, value in _MIXMATCH.items()}
    elif method in _STRONG:
        changes, source = _STRONG[method]
        changes = changes | ({"l2": 5e-4} if dataset == "cifar100" else {})
        values |= {name: (value, source) for name, value in (_FIXMATCH | changes).items()}
    elif method not in _FIRST:
        values |= {name: (value, OURS) for name, value in _PAIRED.items()}
    if own is None and not _is_of_a_paper(method, dataset):
        values = {name: (value, _as_elsewhere(source)) for name, (value, source) in values.items()}
    return {name: Preset(*pair) for name, pair in values.items()}


def _is_of_a_paper(method: str, dataset: str) -> bool:
    """Return whether the papers that are quoted here have this method and these data; what somebody adds is in none."""
    known = method in (*_FIRST, *_TRICKS, *_STRONG, "mixmatch")
    return known and facts(dataset).source == PAPER


def _as_elsewhere(source: str) -> str:
    """Return the source of a value that is used for a method or for data that its paper does not have."""
    if source == PAPER:
        return ADDED
    # How strong views look is RandAugment's, whoever uses them.
    return f"as elsewhere: {source}" if source in PAPERS and source != STRONG_VIEW else source


def _of_dataset(method: str, dataset: str, network: str) -> dict[str, tuple[Any, str]]:
    """Return the values that the 2019 program had for a data set."""
    known, asl = facts(dataset), method == "asl"
    # Tran 2019: dropout .2 before the class head; on SVHN .5 for convnet and wrn (for asl only for convnet),
    # and .5 inside convnet.
    convnet = network in ("convnet", "cnn13")
    strong_dropout = dataset == "svhn" and (convnet or (network == "wrn" and not asl))
    asl_epochs = asl and dataset != "digits" and not is_any_size(dataset)
    return {
        "labels": (known.labels, known.source),
        "epochs": (300, PAPER) if asl_epochs else (known.epochs, known.source),
        "dropout": (0.5 if strong_dropout else 0.2, PAPER),
        "trunk_dropout": (0.5 if dataset == "svhn" and convnet else 0.0, PAPER),
        "flip": (known.flip, PAPER),
        "zca": (known.zca, PAPER),
    }


def arguments(method: str, dataset: str, network: str) -> dict[str, Preset]:
    """Return the hyper-parameters that differ from the defaults of the method's class on this data set and network."""
    if (dataset == "digits" or is_any_size(dataset)) and method in ("pi_model", "temporal_ensembling"):
        return {"weight": Preset(100.0, LAINE), "by_labels": Preset(True, LAINE)}
    if (dataset == "digits" or is_any_size(dataset)) and method == "pseudo_label":
        # With few labels the first answers are often wrong, and would be learned for good.
        return {"threshold": Preset(0.95, OURS)}
    if (method, dataset) == ("vat", "digits"):
        # The paper's 8 is for images of 3,072 numbers; a digit has 64.
        return {"epsilon": Preset(4.0, OURS)}
    if dataset == "digits" and method == "noisy_student":
        return {"rounds": Preset(2, OURS)}
    if dataset == "digits" and method in _AVERAGED:
        return {"ema_decay": Preset(0.99, OURS)}
    if (method, dataset) == ("freematch", "svhn"):
        return {"highest_threshold": Preset(0.95, USB)}
    if dataset != "digits" and not is_any_size(dataset) and (method, network) == ("mean_teacher", "shakeshake26"):
        return {name: Preset(value, TARVAINEN) for name, value in _SHAKE_ARGUMENTS.items()}
    return {}
