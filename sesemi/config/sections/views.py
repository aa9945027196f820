"""Settings of the views: how an image becomes the views that a network sees."""

from dataclasses import dataclass
from typing import ClassVar

from sesemi.config.setting import setting
from sesemi.config.sources import PAPER, STRONG_VIEW

STRONG = ("strong_operations", "strong_level", "strong_probability", "cutout", "cutout_side", "strong_fill")


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """Preprocessing, weak views and strong views."""

    SECTION: ClassVar[str] = "views"

    shift: int = setting(
        "Largest shift of a view along each axis, in pixels.",
        default=2,
        source=PAPER,
        at_least=0,
        at_most=8,
        unit="pixels",
        varies="2, or 4 for FixMatch and its relatives on CIFAR and SVHN",
    )
    flip: bool = setting(
        "Mirror half of the weak and strong views left-right.",
        source=PAPER,
        varies="on where mirroring keeps the class",
    )
    noise: float = setting(
        "Standard deviation of the Gaussian noise of a view, on the scale of preprocessed images.",
        default=0.15,
        source=PAPER,
        at_least=0.0,
        at_most=1e6,
        varies="0.15, or 0 for MixMatch, FixMatch and its relatives on CIFAR and SVHN",
    )
    strong_operations: int = setting(
        "Number of RandAugment operations on a strong view.",
        default=2,
        source=STRONG_VIEW,
        at_least=0,
        at_most=14,
        shows="N",
    )
    strong_level: float | str = setting(
        "Strength of an operation as a part of its range, from 0 to 1, or 'random'.",
        default="random",
        source=STRONG_VIEW,
        at_least=0.0,
        at_most=1.0,
        words=("random",),
        shows="L",
    )
    strong_probability: float = setting(
        "Probability that a drawn operation is applied.",
        default=0.5,
        source=STRONG_VIEW,
        at_least=0.0,
        at_most=1.0,
        shows="P",
    )
    cutout: float = setting(
        "Side of the grey square in a strong view, as a part of the image's side. 0 means no square.",
        default=0.5,
        source=STRONG_VIEW,
        at_least=0.0,
        at_most=1.0,
        shows="PART",
    )
    cutout_side: str = setting(
        "Side of the square: random draws it from 0 to `cutout`, fixed takes `cutout` always.",
        choices=("random", "fixed"),
        default="random",
        source=STRONG_VIEW,
    )
    strong_fill: int = setting(
        "Grey value of the square and of places outside of the image, from 0 to 255.",
        default=127,
        source=STRONG_VIEW,
        at_least=0,
        at_most=255,
        shows="GREY",
    )
    gcn_scale: float = setting(
        "Norm of an image after global contrast normalization.",
        default=55.0,
        source=PAPER,
        above=0.0,
        at_most=1e6,
    )
    zca: bool = setting("Whiten the images (ZCA).", source=PAPER, varies="on for CIFAR with Tran's settings")
    zca_ridge: float = setting(
        "Number that is added to the diagonal of the covariance before whitening.",
        default=0.1,
        source=PAPER,
        above=0.0,
        at_most=1e6,
    )
