"""What each paper used for (method, dataset, network), every value with its source.

Standard library only: the command line reads this before TensorFlow is loaded.
"""

from dataclasses import dataclass
from typing import Any

PAPER = "Tran 2019, arXiv:1906.10343, and its published program"
TRICKS = "Tricks-of-Semi-supervisedDeepLeanring-Pytorch, run.sh (CIFAR-10, 4,000 labels, CNN-13)"
TARVAINEN = "Tarvainen & Valpola 2017, arXiv:1703.01780, and the authors' PyTorch program (4,000 labels)"
MIXMATCH = "Berthelot et al. 2019, arXiv:1905.02249, and ScarceClassifier"
USB = "Semi-supervised-learning (USB), CIFAR-10 and SVHN; Sohn et al. 2020, arXiv:2001.07685"
STRONG_VIEW = "Sohn et al. 2020, arXiv:2001.07685 (RandAugment, then Cutout)"
LIKE_FIXMATCH = "as FixMatch in USB; the method's own paper fine-tunes larger networks"
SCARCE = "ScarceClassifier (promotion from half of the run on, every twentieth of it)"
OURS = "sesemi's own choice"
_ELSEWHERE = "as Tran 2019 on other data"

# The registry: name on the command line -> file in `methods/` and class in it.
METHODS = {
    "sesemi": "sesemi:SESEMI",
    "supervised": "supervised:Supervised",
    "asl": "asl:ASL",
    "pi_model": "pi_model:PiModel",
    "temporal_ensembling": "temporal_ensembling:TemporalEnsembling",
    "mean_teacher": "mean_teacher:MeanTeacher",
    "vat": "vat:VAT",
    "ict": "ict:ICT",
    "mixmatch": "mixmatch:MixMatch",
    "pseudo_label": "pseudo_label:PseudoLabel",
    "mix_pseudo_label": "mix_pseudo_label:MixPseudoLabel",
    "fixmatch": "fixmatch:FixMatch",
    "uda": "uda:UDA",
    "flexmatch": "flexmatch:FlexMatch",
    "debiasmatch": "debiasmatch:DebiasMatch",
    "dst": "dst:DST",
    "self_tuning": "self_tuning:SelfTuning",
    "noisy_student": "noisy_student:NoisyStudent",
    "adamatch": "adamatch:AdaMatch",
    "softmatch": "softmatch:SoftMatch",
    "freematch": "freematch:FreeMatch",
    "crmatch": "crmatch:CRMatch",
    "remixmatch": "remixmatch:ReMixMatch",
}
NETWORKS = ("convnet", "wrn", "nin", "mini", "cnn13", "shakeshake26")


@dataclass(frozen=True)
class DatasetFacts:
    """What must be known of a data set before it is loaded.

    Args:
        classes: number of classes; None: known when the images are read.
        train: number of training images; None as before.
        labels: default number of labeled images, or ``"all"``.
        flip: whether a left-right mirrored image keeps its class.
        zca: whether the 2019 program whitened it.
        epochs: default passes, an epoch being ``train // batch_size`` steps.
        source: where `labels` and `epochs` come from.
    """

    classes: int | None
    train: int | None
    labels: int | str
    flip: bool
    zca: bool
    epochs: int
    source: str


DATASETS = {
    "digits": DatasetFacts(classes=10, train=1000, labels=50, flip=False, zca=False, epochs=30, source=OURS),
    "cifar10": DatasetFacts(classes=10, train=50_000, labels=4000, flip=True, zca=True, epochs=50, source=PAPER),
    "cifar100": DatasetFacts(classes=100, train=50_000, labels=10_000, flip=True, zca=True, epochs=50, source=PAPER),
    "svhn": DatasetFacts(classes=10, train=73_257, labels=1000, flip=False, zca=False, epochs=30, source=PAPER),
    "folder": DatasetFacts(classes=None, train=None, labels="all", flip=True, zca=False, epochs=50, source=OURS),
    "tfds:NAME": DatasetFacts(classes=None, train=None, labels="all", flip=True, zca=False, epochs=50, source=OURS),
}
TFDS = "tfds:"
# Data sets of pictures of any size.
ANY_SIZE = ("folder", "tfds:NAME")


def kind(dataset: str) -> str:
    """The key of `DATASETS` for what stands behind ``--dataset``."""
    return "tfds:NAME" if dataset.startswith(TFDS) and dataset != TFDS else dataset


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
_STRONG = {
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


@dataclass(frozen=True)
class Setting:
    """A value with its origin (``paper``, ``default`` or ``user``) and the source to look it up in."""

    value: Any
    origin: str
    source: str


def _setting(value: Any, source: str) -> Setting:
    return Setting(
        value, "paper" if source in (PAPER, TRICKS, TARVAINEN, MIXMATCH, USB, STRONG_VIEW) else "default", source
    )


def network(method: str, dataset: str) -> str:
    """The network that is used if the user names none: the method's paper's, and on the small digits the small one."""
    if dataset == "digits":
        return "mini"
    if kind(dataset) in ANY_SIZE:
        return "wrn"
    return "cnn13" if method in _TRICKS else "wrn"


def settings(method: str, dataset: str, network: str) -> dict[str, Setting]:
    """Every setting that is not an identity of the run, as the source of `method` on `dataset` had it.

    Args:
        method: one of `METHODS`.
        dataset: one of `DATASETS`.
        network: one of `NETWORKS`.

    Returns:
        Setting by name. ``steps_per_epoch`` is None where it depends on the number of training images, for asl of
        labeled ones.
    """
    values = _sesemi(method, dataset, network)
    own = _DIGITS if dataset == "digits" else _OWN_IMAGES if kind(dataset) in ANY_SIZE else None
    if own is not None:
        values = {name: (value, _ELSEWHERE if source == PAPER else source) for name, (value, source) in values.items()}
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
    return {name: _setting(value, source) for name, (value, source) in values.items()}


def arguments(method: str, dataset: str, network: str) -> dict[str, Setting]:
    """Arguments of the method's class that differ from its defaults for this data set and network."""
    if dataset == "digits" and method == "noisy_student":
        return {"rounds": _setting(2, OURS)}
    if dataset == "digits" and method in _AVERAGED:
        return {"ema_decay": _setting(0.99, OURS)}
    if (method, dataset) == ("freematch", "svhn"):
        return {"highest_threshold": _setting(0.95, USB)}
    if dataset != "digits" and kind(dataset) not in ANY_SIZE and (method, network) == ("mean_teacher", "shakeshake26"):
        return {name: _setting(value, TARVAINEN) for name, value in _SHAKE_ARGUMENTS.items()}
    return {}


def _sesemi(method: str, dataset: str, network: str) -> dict[str, tuple[Any, str]]:
    facts = DATASETS[kind(dataset)]
    asl = method == "asl"
    # Tran 2019: dropout .2 before the class head; on SVHN .5 for convnet and wrn (for asl only for convnet),
    # and .5 inside convnet.
    convnet = network in ("convnet", "cnn13")
    strong_dropout = dataset == "svhn" and (convnet or (network == "wrn" and not asl))
    asl_epochs = asl and dataset != "digits" and kind(dataset) not in ANY_SIZE
    return {
        "labels": (facts.labels, facts.source),
        "labels_from": (None, OURS),
        "labels_file": (None, OURS),
        "strict": (False, OURS),
        "image_size": (32, OURS),
        "resize": ("crop", OURS),
        "extra": (None, OURS),
        "extra_source": (None, OURS),
        "epochs": (300, PAPER) if asl_epochs else (facts.epochs, facts.source),
        "steps_per_epoch": (None, PAPER),
        "batch_size": (16, PAPER),
        "labeled_batch_size": (None, PAPER),
        "optimizer": ("sgd", PAPER),
        "learning_rate": (0.05, PAPER),
        "schedule": ("polynomial", PAPER),
        "learning_rate_power": (0.5, PAPER),
        "momentum": (0.9, PAPER),
        "l2": (5e-4, PAPER),
        "weight_decay": (0.0, PAPER),
        "self_supervision": ("none", OURS),
        "joint_forward": (False, PAPER),
        "regularize_labeled": (False, PAPER),
        "dropout": (0.5 if strong_dropout else 0.2, PAPER),
        "trunk_dropout": (0.5 if dataset == "svhn" and convnet else 0.0, PAPER),
        "shift": (2, PAPER),
        "flip": (facts.flip, PAPER),
        "noise": (0.15, PAPER),
        "strong_operations": (2, STRONG_VIEW),
        "strong_level": ("random", STRONG_VIEW),
        "strong_probability": (0.5, STRONG_VIEW),
        "cutout": (0.5, STRONG_VIEW),
        "cutout_side": ("random", STRONG_VIEW),
        "strong_fill": (127, STRONG_VIEW),
        "gcn_scale": (55.0, PAPER),
        "zca": (facts.zca, PAPER),
        "zca_ridge": (0.1, PAPER),
        "exclude_labeled": (False, PAPER),
        "promote": ("none", OURS),
        "promote_threshold": (0.99, SCARCE),
        "promote_fraction": (0.1, SCARCE),
        "promote_from": (None, SCARCE),
        "promote_every": (None, SCARCE),
        "validation": (0.0, PAPER),
        "views": (8, PAPER),
        "precision": ("float32", PAPER),
        "jit": ("auto", OURS),
    }
