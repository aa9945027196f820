"""Settings of the data: which images there are, and which of them are labeled."""

from dataclasses import dataclass
from typing import ClassVar

from sesemi.config.registry import DATASETS
from sesemi.config.setting import setting
from sesemi.config.sources import PAPER, SCARCE


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data set, the labeled images, and images that join them on the way."""

    SECTION: ClassVar[str] = "data"

    dataset: str = setting(
        f"Name of the data set: {', '.join(DATASETS)}. folder means your own pictures in `data_dir`, and so does "
        "`data_dir` alone.",
        default="digits",
        shows="NAME",
        runs_only=True,
    )
    labels: int | str = setting(
        "Number of labeled images, shared out evenly over the classes, or 'all'.",
        words=("all", "file"),
        shows="N",
        varies=", ".join(f"{facts.labels} for {name}" for name, facts in DATASETS.items()),
        runs_only=True,
    )
    labels_from: str | None = setting(
        "File that lists the labeled images. It is a run's split.json, or has a line for each image: its "
        "index, or FILENAME CLASS.",
        shows="FILE",
        runs_only=True,
    )
    labels_file: str | None = setting(
        "CSV file with a path and a label in each line, for `dataset=folder`. An empty label, nan or -1 means "
        "unlabeled.",
        shows="FILE",
        runs_only=True,
    )
    data_dir: str | None = setting(
        "Folder with the data set's files or its official archive. For `dataset=folder` it holds labeled/CLASS/*, "
        "unlabeled/*, and perhaps test/CLASS/* and validation/CLASS/*.",
        shows="DIR",
        placement=True,
        runs_only=True,
    )
    strict: bool = setting(
        "Refuse a folder with broken files or duplicates instead of leaving them out. Only for `dataset=folder`.",
        default=False,
        runs_only=True,
    )
    image_size: int = setting(
        "Height and width of the images, in pixels. Pictures of any size are brought to it. Only for "
        "folder and tfds:NAME.",
        default=32,
        at_least=8,
        at_most=1024,
        unit="pixels",
        runs_only=True,
    )
    resize: str = setting(
        "Way to bring pictures to `image_size`: crop cuts out the middle, pad adds black bars. Only for folder and "
        "tfds:NAME.",
        choices=("crop", "pad"),
        default="crop",
        runs_only=True,
    )
    memory_limit: int = setting(
        "Largest size of the training images, in MiB, to keep in memory. Larger sets are read from disk while "
        "training.",
        default=4096,
        at_least=1,
        at_most=10**9,
        unit="MiB",
        placement=True,
        runs_only=True,
    )
    extra: int | None = setting(
        "Number of unlabeled images from elsewhere. Half of each unlabeled batch is drawn from them.",
        at_least=1,
        at_most=10**9,
        shows="N",
        varies="all images of `extra_source`, if that is given",
        runs_only=True,
    )
    extra_source: str | None = setting(
        "Source of the extra images: tiny-images[:DIR], imagenet32[:DIR], folder:DIR or npy:FILE.",
        shows="SOURCE",
        varies="tiny-images if there is a copy in datasets/, else imagenet32",
        runs_only=True,
    )
    exclude_labeled: bool = setting("Leave the labeled images out of the unlabeled pool.", default=False, source=PAPER)
    promote: str = setting(
        "Turn the most confident unlabeled images into labeled ones while training: those above a "
        "threshold, or the same "
        "number of every class (balanced).",
        choices=("none", "threshold", "balanced"),
        default="none",
        runs_only=True,
    )
    promote_threshold: float = setting(
        "Least confidence, from 0 to 1, of an image that `promote=threshold` takes.",
        default=0.99,
        source=SCARCE,
        at_least=0.0,
        at_most=1.0,
        shows="P",
        runs_only=True,
    )
    promote_fraction: float = setting(
        "Part of the remaining unlabeled images that `promote=balanced` takes each time. It is shared "
        "out evenly over the classes.",
        default=0.1,
        source=SCARCE,
        above=0.0,
        at_most=1.0,
        shows="P",
        runs_only=True,
    )
    promote_from: int = setting(
        "Number of epochs before the first promotion.",
        source=SCARCE,
        at_least=1,
        at_most=10**6,
        unit="epochs",
        varies="half of the epochs",
        runs_only=True,
    )
    promote_every: int = setting(
        "Number of epochs between two promotions.",
        source=SCARCE,
        at_least=1,
        at_most=10**6,
        unit="epochs",
        varies="a twentieth of the epochs",
        runs_only=True,
    )
