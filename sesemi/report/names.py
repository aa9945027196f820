"""Names of classes in pictures: their order, their length, and fonts that have their letters."""

import functools
import re
from collections.abc import Sequence

from matplotlib import font_manager

_LONGEST_NAME = 20
_OWN_FONT = "DejaVu Sans"
# It has a box for every letter there is.
_NO_FONTS = ("Last Resort",)


def plain(text: str) -> str:
    """Return text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")


def short(name: str, most: int = _LONGEST_NAME) -> str:
    """Return the name of a class, or the beginning of it, where there is little room."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def drawable(names: Sequence[str], most: int = _LONGEST_NAME) -> list[str]:
    """Return the names as a picture can show them: short, and a name whose letters no font has as its number.

    The number is that of the class, from 0, as the page of the run and ``model.json`` have them.
    """
    there = _letters_of(fonts_for(names))
    return [short(name, most) if _letters(name) <= there else f"class {n}" for n, name in enumerate(names)]


def shown(names: Sequence[str]) -> list[str]:
    """Return `drawable` names in which matplotlib sees no formula."""
    return [plain(name) for name in drawable(names)]


def in_order(names: Sequence[str]) -> list[int]:
    """Return the numbers of the classes in the order in which a window shows their folders: 9 comes before 10.

    Classes that are not sorted by their letters, as those of folders are, keep the order that their data set has.
    """
    numbers = list(range(len(names)))
    return sorted(numbers, key=lambda number: _by_number(names[number])) if list(names) == sorted(names) else numbers


def _by_number(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return [(0, int(digits), "") if digits else (1, 0, other.casefold()) for digits, other in parts]


@functools.lru_cache(maxsize=64)
def _families(letters: frozenset[str]) -> tuple[str, ...]:
    found, missing = [_OWN_FONT], set(letters - _letters_of((_OWN_FONT,)))
    if not missing:
        return tuple(found)
    others = {entry.name for entry in font_manager.fontManager.ttflist if not entry.name.startswith(_NO_FONTS)}
    for family in sorted(others - {_OWN_FONT}, key=lambda family: (-len(missing & _letters_of((family,))), family)):
        if gained := missing & _letters_of((family,)):
            found.append(family)
            missing -= gained
        if not missing:
            break
    return tuple(found)


def fonts_for(texts: Sequence[str]) -> tuple[str, ...]:
    """Return families of installed fonts that together have the letters of some texts, as far as there are any."""
    return _families(frozenset().union(*map(_letters, texts)))


def _letters(text: str) -> frozenset[str]:
    return frozenset(letter for letter in text if not letter.isspace())


def _letters_of(families: Sequence[str]) -> frozenset[str]:
    return frozenset().union(*map(_letters_of_font, families))


@functools.cache
def _letters_of_font(family: str) -> frozenset[str]:
    path = next(entry.fname for entry in font_manager.fontManager.ttflist if entry.name == family)
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError):
        # A font of the system that is damaged helps nobody; the next one is tried.
        return frozenset()
