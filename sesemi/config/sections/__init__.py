"""Settings of a run, one file a section. A setting is one field, and the field says everything about it."""

from dataclasses import dataclass

from sesemi.config.sections.data import DataSettings
from sesemi.config.sections.evaluation import EvaluationSettings
from sesemi.config.sections.machine import MachineSettings
from sesemi.config.sections.method import MethodSettings
from sesemi.config.sections.optimization import OptimizationSettings
from sesemi.config.sections.output import OutputSettings
from sesemi.config.sections.views import ViewSettings
from sesemi.config.setting import settings_of

# In the order in which they are shown.
SECTIONS = (
    MethodSettings,
    DataSettings,
    ViewSettings,
    OptimizationSettings,
    EvaluationSettings,
    MachineSettings,
    OutputSettings,
)
SETTINGS = {name: setting for section in SECTIONS for name, setting in settings_of(section).items()}


@dataclass(frozen=True, kw_only=True)
class AllSettings(
    OutputSettings,
    MachineSettings,
    EvaluationSettings,
    OptimizationSettings,
    ViewSettings,
    DataSettings,
    MethodSettings,
):
    """All sections at once. Code that needs only one of them takes that one, and is given the whole."""


__all__ = [
    "SECTIONS",
    "SETTINGS",
    "AllSettings",
    "DataSettings",
    "EvaluationSettings",
    "MachineSettings",
    "MethodSettings",
    "OptimizationSettings",
    "OutputSettings",
    "ViewSettings",
]
