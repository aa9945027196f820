"""Description of one setting. A field of a section carries it; everything else about the setting is derived."""

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any

from sesemi.config.sources import OURS
from sesemi.errors import InputError, did_you_mean

_KEY = "setting"


@dataclass(frozen=True)
class Setting:
    """One setting of a run.

    Args:
        help: What it is, in whole sentences.
        default: Its value if neither the user nor a preset says another one.
        source: Where the default comes from.
        unit: Unit of a number.
        shows: What stands for the value in a usage line; default: the unit.
        at_least: Smallest value that is allowed.
        above: The value must be larger than this.
        at_most: Largest value that is allowed.
        choices: All values that are allowed; empty if there are too many to list.
        words: Words that are allowed in place of a number.
        varies: What the default depends on, in words; None if it is always `default`.
        placement: Whether it says only where and how a run goes; results do not depend on it.
        runs_only: Whether it is about files, run folders or several devices. A program that brings its own images
            has no use for it.
        name: Name of the field.
        section: Name of the section that the field belongs to.
        kinds: Types of which a value can be.
    """

    help: str
    default: Any = None
    source: str = OURS
    unit: str | None = None
    shows: str | None = None
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    choices: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()
    varies: str | None = None
    placement: bool = False
    runs_only: bool = False
    name: str = ""
    section: str = ""
    kinds: tuple[type, ...] = ()

    def check(self, value: Any) -> None:
        """Refuse a value of the wrong type or out of range.

        Raises:
            InputError: The message says what is allowed.
        """
        if self.choices:
            if value not in self.choices:
                known = ", ".join(map(str, self.choices))
                raise self.error(value, f"choose from {known}", did_you_mean(value, self.choices))
        elif isinstance(value, str) and self.words and str in self.kinds:
            if value not in self.words:
                raise self.error(value, self.wanted)
        else:
            self._check_type(value)
            self._check_range(value)

    def error(self, value: Any, problem: str, cure: str | None = None) -> InputError:
        """Return the error for a value of this setting."""
        return InputError(problem, setting=self.name, value=value, cure=cure)

    @property
    def wanted(self) -> str:
        """Text that says what to give where a number or one of `words` is allowed."""
        return f"give a number{self._range(' from {low:g} to {high:g}')}, or {' or '.join(self.words[:1])}"

    @property
    def number(self) -> type | None:
        """`int` or `float` if the setting is a number, else None."""
        return next((kind for kind in (int, float) if kind in self.kinds), None)

    @property
    def range(self) -> str:
        """Range of a number in words; empty if there is none."""
        least = "from {low}" if self.above is None else "above {low}"
        return self._range(f"{least} to {{high}}")

    def _range(self, text: str) -> str:
        low = self.at_least if self.above is None else self.above
        return "" if low is None or self.at_most is None else text.format(low=low, high=self.at_most)

    def _check_type(self, value: Any) -> None:
        if float in self.kinds and isinstance(value, int) and not isinstance(value, bool):
            return
        if not isinstance(value, self.kinds) or (isinstance(value, bool) and bool not in self.kinds):
            wanted = " or ".join(kind.__name__ for kind in self.kinds if kind is not types.NoneType)
            raise self.error(repr(value), f"of type {wanted} is needed, got {type(value).__name__}")

    def _check_range(self, value: Any) -> None:
        if not self.range or value is None or isinstance(value, str):
            return
        low_enough = self.at_most is None or value <= self.at_most
        high_enough = value > self.above if self.above is not None else value >= self.at_least
        if not (low_enough and high_enough and math.isfinite(value)):
            raise self.error(value, self.wanted if self.words else f"must lie {self.range}")


def setting(help: str, **facts: Any) -> Any:
    """Declare a field of a section; arguments as in `Setting`."""
    return dataclasses.field(metadata={_KEY: Setting(help, **facts)})


def settings_of(section: Any) -> dict[str, Setting]:
    """Return the settings that a section declares itself, by name, in their order."""
    found = {}
    for field in dataclasses.fields(section):
        if field.name in section.__annotations__:
            kinds = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
            kinds = tuple(typing.get_origin(kind) or kind for kind in kinds)
            found[field.name] = dataclasses.replace(
                field.metadata[_KEY], name=field.name, section=section.SECTION, kinds=kinds
            )
    return found
