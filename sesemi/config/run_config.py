"""`RunConfig`: all settings that are needed to repeat a run."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sesemi.config import checks
from sesemi.config.sections import SETTINGS, AllSettings

# For each setting the origin of its value, such as ``"user"`` or ``"paper: Tran 2019 ..."``; hyper-parameters of the
# method are called ``arguments.NAME``.
Origins = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class RunConfig(AllSettings):
    """Settings of one run, wholly resolved. Build it with `sesemi.config.resolve` or `sesemi.config.from_json`.

    A function that needs only the views takes `sections.ViewSettings`, and any `RunConfig` is one.
    ``arguments`` holds the hyper-parameters that the user or a preset gave; the method's class has the others.
    ``steps_per_epoch`` may be None, which means one pass over the images that the method draws from.
    """

    def __post_init__(self):
        for name, setting in SETTINGS.items():
            setting.check(getattr(self, name))
        checks.check(self)

    @property
    def run_dir(self) -> Path:
        """Path of the run folder."""
        return Path(self.output) / self.name

    def replace(self, **changes: Any) -> "RunConfig":
        """Return a copy with some values changed, checked again."""
        return dataclasses.replace(self, **changes)

    def values(self) -> dict[str, Any]:
        """Return all values by name, in the order of the sections."""
        return {name: getattr(self, name) for name in SETTINGS}

    def identity(self) -> dict[str, Any]:
        """Return all values that the numbers of the run depend on."""
        return {name: value for name, value in self.values().items() if not SETTINGS[name].placement}
