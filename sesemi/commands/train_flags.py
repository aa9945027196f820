"""Flags of ``sesemi train``, derived from the settings."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from sesemi.commands.parser import OneLineParser, flag, typed
from sesemi.config.sections import SECTIONS
from sesemi.config.setting import Setting, settings_of
from sesemi.reading import json_value
from sesemi.terminal import one_line


def build_parser(program: str) -> OneLineParser:
    """Return the parser. Flags that were not given leave no attribute, so the origin of a value is known."""
    parser = OneLineParser(
        prog=program,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train and evaluate an image classifier from few labels (SESEMI, Tran 2019).\nWithout flags: a "
        "demo on scikit-learn's digits. The same command again continues where it stopped.",
        epilog="sesemi, or python -m sesemi, lists what can be done with what was trained. docs/settings.md explains "
        "every flag.",
    )
    how = "Take every setting from a run's config.json. Flags beside it win."
    parser.add_argument("--config", metavar="FILE", help=how)
    for section in SECTIONS:
        group = parser.add_argument_group(section.SECTION, section.__doc__)
        for setting in settings_of(section).values():
            _add(group, setting)
            if setting.name == "labels":
                group.add_argument(
                    "--labels-per-class", type=int, metavar="N", help="Number of labeled images of each class."
                )
    actions = parser.add_argument_group("instead of training").add_mutually_exclusive_group()
    actions.add_argument(
        "--dry-run",
        action="store_true",
        help="Print every value with its origin, memory, and the time it will take. Train nothing.",
    )
    actions.add_argument("--preview", action="store_true", help="Write a picture of what each branch sees, and stop.")
    return parser


def _add(group, setting: Setting) -> None:
    how: dict[str, Any] = {"help": help_of(setting).replace("%", "%%")}
    if setting.name == "arguments":
        how |= {"action": "append", "type": _argument, "dest": "arguments"}
    elif bool in setting.kinds:
        how |= {"action": argparse.BooleanOptionalAction}
    elif setting.words:
        how |= {"type": _number_or_word(setting)}
    elif setting.number is not None:
        how |= {"type": setting.number}
    if bool not in setting.kinds:
        how["metavar"] = metavar(setting)
    group.add_argument(flag(setting.name), **how)


def metavar(setting: Setting) -> str:
    """Return what stands for the value in a usage line."""
    # If there are too many choices for a line, the help has them.
    if setting.choices and len(setting.choices) < 10:
        return f"{{{','.join(map(str, setting.choices))}}}"
    return setting.shows or (setting.unit or ("name" if setting.choices else "x")).upper()


def help_of(setting: Setting) -> str:
    """Return the help of a setting, with its default."""
    text = setting.help
    if len(setting.choices) >= 10:
        text += f" One of {', '.join(map(str, setting.choices))}."
    default = default_of(setting)
    return typed(text if default is None else f"{text} (default: {default})")


def default_of(setting: Setting) -> str | None:
    """Return the default of a setting in words; None if there is none."""
    if setting.varies is not None:
        return setting.varies
    if isinstance(setting.default, bool):
        return "on" if setting.default else "off"
    return None if setting.default is None else str(setting.default)


def _number_or_word(setting: Setting) -> Callable[[str], float | str]:
    def parse(text: str) -> float | str:
        if text in setting.words:
            return text
        try:
            return setting.number(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: {setting.wanted}") from None

    return parse


def _argument(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=VALUE")
    if value in ("True", "False"):
        value = value.lower()
    try:
        return name, json_value(value)
    except json.JSONDecodeError:
        return name, value
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{one_line(repr(text), 60)}: {error}") from None


def reference() -> str:
    """Return the text of ``docs/settings.md``: every setting, as it is declared."""
    lines = [
        "# Settings",
        "",
        "Every setting of a run, with its flag, its range, and its default. This page is made by `make docs` from the",
        "fields in `sesemi/config/sections/`; a test compares it. `--dry-run` shows the values of a run with their",
        "sources.",
        "In Python (`sesemi.config.resolve`, the estimator) a setting has the name of its flag with underscores.",
        "Results do not depend on a setting that is marked *placement*.",
        "",
    ]
    for section in SECTIONS:
        lines += [
            f"## {section.SECTION}",
            "",
            section.__doc__,
            "",
            "| setting | meaning | values | default |",
            "|---|---|---|---|",
        ]
        lines += [_row(setting) for setting in settings_of(section).values()] + [""]
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    if bool in setting.kinds:
        values = f"{flag(setting.name)} or {flag(setting.name, False)}"
    elif setting.choices:
        values = ", ".join(map(str, setting.choices))
    else:
        number = " ".join(filter(None, [setting.range or ("a number" if setting.number else ""), setting.unit]))
        values = ", ".join(filter(None, [number or setting.shows, *setting.words]))
    default = default_of(setting)
    source = f" ({setting.source})" if default is not None and setting.varies is None else ""
    mark = " *placement*" if setting.placement else ""
    cells = (f"`{flag(setting.name)}`{mark}", typed(setting.help), values, f"{typed(default or '')}{source}")
    return (
        "| "
        + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") if i else cell for i, cell in enumerate(cells))
        + " |"
    )
