"""Settings of the output: where a run is written, and what is printed."""

from dataclasses import dataclass
from typing import ClassVar

from sesemi.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """The run folder, logs and messages."""

    SECTION: ClassVar[str] = "output"

    output: str = setting("Folder of all runs.", default="runs", shows="DIR", placement=True, runs_only=True)
    name: str = setting(
        "Name of the folder of this run in `output`.",
        shows="NAME",
        varies="made from the settings",
        placement=True,
        runs_only=True,
    )
    tensorboard: bool = setting("Write TensorBoard logs too.", default=False, placement=True, runs_only=True)
    quiet: bool = setting("Print only errors and the result.", default=False, placement=True, runs_only=True)
