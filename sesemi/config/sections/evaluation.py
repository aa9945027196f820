"""Settings of the evaluation: how a run is judged."""

from dataclasses import dataclass
from typing import ClassVar

from sesemi.config.setting import setting
from sesemi.config.sources import PAPER


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Validation and views of the evaluation."""

    SECTION: ClassVar[str] = "evaluation"

    validation: float = setting(
        "Fraction of the labeled images of each class to hold out. The epoch with the lowest error on them is reported "
        "beside the last.",
        default=0.0,
        source=PAPER,
        at_least=0.0,
        at_most=0.9,
        shows="FRACTION",
        runs_only=True,
    )
    views: int = setting(
        "Number of views of a test image. With 8, the error of the mean over eight views is reported at "
        "the end too (four "
        "without `flip`).",
        choices=(1, 8),
        default=8,
        source=PAPER,
        runs_only=True,
    )
