"""Names of methods, networks and data sets, and the facts of them that are needed before anything is loaded."""

from dataclasses import dataclass

from sesemi.config.sources import OURS, PAPER

# Name on the command line -> file in `sesemi/methods/` and class in it.
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
# Files in `models/`.
NETWORKS = ("convnet", "wrn", "nin", "mini", "cnn13", "shakeshake26", "wrn28_2", "wrn28_8", "wrn37_2")


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of a data set, known before it is loaded.

    Args:
        classes: Number of classes; None if only the images tell.
        train: Number of training images; None if only the images tell.
        labels: Default number of labeled images, or ``"all"``.
        flip: True if an image that is mirrored left-right keeps its class.
        zca: True if the 2019 program whitened it.
        epochs: Default number of epochs; ``steps_per_epoch`` says how long each is.
        source: Source of `labels` and `epochs`.
    """

    classes: int | None
    train: int | None
    labels: int | str
    flip: bool
    zca: bool
    epochs: int
    source: str


# Files in `datasets/`; tfds:NAME stands for any set of TensorFlow Datasets.
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
    """Return the key of `DATASETS` that a data set's name belongs to."""
    return "tfds:NAME" if dataset.startswith(TFDS) and dataset != TFDS else dataset


def is_any_size(dataset: str) -> bool:
    """Return whether a data set holds pictures of any size."""
    return kind(dataset) in ANY_SIZE


def facts(dataset: str) -> DatasetFacts:
    """Return the facts of a data set."""
    return DATASETS[kind(dataset)]
