"""Settings of the method: which method trains which network."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sesemi.config.registry import METHODS, NETWORKS
from sesemi.config.setting import setting
from sesemi.config.sources import PAPER


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """The method, its hyper-parameters, and the network."""

    SECTION: ClassVar[str] = "method"

    network: str = setting(
        "Trunk of the classifier.",
        choices=NETWORKS,
        varies="the network of the method's source; mini for digits, and for pictures of your own without a GPU",
    )
    method: str = setting(
        "Method that learns from labeled and unlabeled images. The README says what each one does.",
        choices=tuple(METHODS),
        default="sesemi",
        varies="flexmatch for pictures of your own, else sesemi",
    )
    arguments: dict[str, Any] = setting(
        "Hyper-parameter of the method, such as weight=10. Repeat it for each one. A dry run lists them.",
        shows="NAME=VALUE",
        varies="those of the method's class, or of its source on this data set",
    )
    self_supervision: str = setting(
        "Second task that is added to the method. rotation adds SESEMI's six-way head to any other method.",
        choices=("none", "rotation"),
        default="none",
    )
    ema_part: float = setting(
        "Largest part of the run's updates that a teacher averages the student over. The method's ema_decay is cut to "
        "1 - 1 / (part x updates). 1 leaves it as it is in all but the shortest runs.",
        default=0.1,
        above=0.0,
        at_most=1.0,
        unit="part",
    )
    ema_warm_up: bool = setting(
        "Let the teacher's decay begin at 1/2 and rise to its value, so that the first weights are soon forgotten. "
        "Otherwise it is the same from the first update on, as in the programs of FixMatch and USB.",
        default=True,
    )
    joint_forward: bool = setting(
        "Put labeled and unlabeled images through the trunk in one call and normalize them together. "
        "Otherwise each has a call of its own.",
        default=False,
        source=PAPER,
        varies="the method's source",
    )
    regularize_labeled: bool = setting(
        "Apply the unlabeled loss to the labeled images of a step too.",
        default=False,
        source=PAPER,
        varies="the method's source",
    )
