"""Parts that all commands share: one-line errors, flags for settings, exit codes."""

import argparse
import os
import platform
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from sesemi.config.sections import SETTINGS
from sesemi.errors import InputError, did_you_mean
from sesemi.files import WriteError
from sesemi.terminal import accept_any_text, one_line, printable, tell

EXIT_BAD_INPUT = 2
# Flags that messages may name although they are no settings.
_OTHERS = ("config", "labels_per_class", "dry_run", "preview", "traceback", "format", "images", "csv", "count")
# In letters; other people's names, cells and values may be of any length.
_LONGEST_PROBLEM, _LONGEST_VALUE = 2000, 300
_UNKNOWN = re.compile(r"unrecognized arguments:.*?(--[^\s=]+)")
_MENTION = re.compile(r"`(arguments\.\w+|[a-z]\w*)(?:=([^`]*))?`")


class OneLineParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` whose errors are one line, with exit code 2. It has the flag ``--traceback``.

    Every command begins with one, so from then on stdout and stderr take any text.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        accept_any_text()
        self.add_argument(
            "--traceback", action="store_true", default=False, help="Show where in the program an error came from."
        )

    def error(self, message: str) -> NoReturn:
        """Print one line, not the whole usage before it, and exit."""
        unknown = _UNKNOWN.search(message)
        close = unknown and did_you_mean(unknown[1], self._option_string_actions)
        hint = f"; {close}" if close else ""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {printable(message, _LONGEST_PROBLEM)}{hint} (see --help)\n")


def flag(name: str, value: Any = None) -> str:
    """Return how a setting is typed: ``--learning-rate 0.1``, ``--no-zca``, ``--set weight=10``.

    Args:
        name: Name of the setting, or ``arguments.NAME``.
        value: Its value; None names the flag alone.
    """
    if name.startswith("arguments."):
        argument = name.removeprefix("arguments.")
        return f"--set {argument}" if value is None else f"--set {argument}={value}"
    if name == "arguments":
        return "--set"
    typed = name.replace("_", "-")
    if value is False or (value == "False" and bool in _kinds(name)):
        return f"--no-{typed}"
    if value is None or value is True or (value == "True" and bool in _kinds(name)):
        return f"--{typed}"
    return f"--{typed} {value}"


def _kinds(name: str) -> tuple[type, ...]:
    return SETTINGS[name].kinds if name in SETTINGS else ()


def typed(text: str) -> str:
    """Return a text in which settings that stand in backticks are written as flags."""

    def as_flag(match: re.Match) -> str:
        name, value = match.groups()
        known = name in SETTINGS or name in _OTHERS or name.startswith("arguments.")
        return flag(name, value) if known else match[0]

    return _MENTION.sub(as_flag, text)


def as_typed(error: Exception) -> str:
    """Return the message of an error in the language of the command line, in one line; its end has the cure."""
    if not isinstance(error, InputError):
        return typed(printable(str(error), _LONGEST_PROBLEM))
    value = error.value if error.value is None else printable(str(error.value), _LONGEST_VALUE)
    cure = error.cure and printable(error.cure, _LONGEST_PROBLEM)
    short = InputError(printable(error.problem, _LONGEST_PROBLEM), setting=error.setting, value=value, cure=cure)
    return typed(short.said(None if error.setting is None else flag(error.setting, value)))


def says_missing(error: Exception) -> str | None:
    """Return one line about a package that this Python lacks, and where it is; None for any other error."""
    if not isinstance(error, ModuleNotFoundError) or (error.name or "sesemi").split(".")[0] == "sesemi":
        return None
    root = Path(__file__).parents[2]
    folder, program = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    prepared = root / ".venv" / folder / program
    if prepared.exists() and Path(sys.prefix).resolve() != (root / ".venv").resolve():
        cure = f"run it with {prepared}, which has all that is needed"
    elif (root / "Makefile").exists():
        cure = f"`make demo` in {root} sets up .venv; then run it with .venv/bin/python"
    else:
        cure = f"install what sesemi needs: {sys.executable} -m pip install --upgrade sesemi-keras"
    return one_line(
        f"{error.name} is not installed in this environment (Python {platform.python_version()}, {sys.executable}); "
        f"{cure}",
        500,
    )


def finish(program: str, work: Callable[[], None], *, traceback: bool = False) -> int:
    """Do the work of a command and return its exit code.

    Args:
        program: Name of the command, as it was typed.
        work: Function that does the work.
        traceback: True raises errors; False prints them in one line.

    Returns:
        0 done, 2 an error (one line on stderr), 130 interrupted, 141 nobody reads stdout any more (1 on Windows).
    """
    try:
        work()
    except BrokenPipeError:
        # The reader of the lines has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1
    except KeyboardInterrupt:
        tell("interrupted")
        return 128 + signal.SIGINT
    except (InputError, WriteError, OSError, MemoryError) as error:
        if traceback:
            raise
        message = (
            as_typed(error) if isinstance(error, InputError) else one_line(error) if str(error) else "not enough memory"
        )
        tell(f"{program}: {message}")
        return EXIT_BAD_INPUT
    return 0
