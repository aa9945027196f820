"""``sesemi``, which is ``python -m sesemi``: choose the sub-command."""

import importlib
import os.path
import sys
from collections.abc import Sequence

from sesemi.commands.parser import EXIT_BAD_INPUT, says_missing
from sesemi.errors import did_you_mean
from sesemi.terminal import accept_any_text, one_line, show, tell

# Sub-command -> its module, what it does, and an example.
COMMANDS = {
    "train": ("sesemi.commands.train", "train and evaluate a classifier", "train --data-dir pictures"),
    "predict": ("sesemi.commands.predict", "say what pictures show", "predict runs/NAME holiday/ --csv holiday.csv"),
    "evaluate": ("sesemi.commands.evaluate", "measure a classifier on a test set", "evaluate runs/NAME cifar10"),
    "export": ("sesemi.commands.export", "write it for other runtimes", "export runs/NAME --format tflite"),
    "label-next": ("sesemi.commands.label_next", "find the pictures most worth labeling", "label-next runs/NAME"),
    "compare": ("sesemi.commands.compare", "compare finished runs in a table", "compare runs/*"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Args:
        arguments: Words that were typed behind the name of the program; default: the command line.

    Returns:
        Exit code of the sub-command; 2 if there is no such command.
    """
    accept_any_text()
    program = "python -m sesemi" if os.path.basename(sys.argv[0]) == "__main__.py" else "sesemi"
    typed = list(sys.argv[1:] if arguments is None else arguments)
    name, others = (typed[0], typed[1:]) if typed else ("", [])
    if name in COMMANDS:
        try:
            return importlib.import_module(COMMANDS[name][0]).main(others, program=f"{program} {name}")
        except ModuleNotFoundError as error:
            if "--traceback" in others or says_missing(error) is None:
                raise
            tell(f"{program} {name}: {says_missing(error)}")
            return EXIT_BAD_INPUT
    if name == "--version":
        show(version())
        return 0
    if name in ("", "-h", "--help"):
        for command, (_, what, example) in COMMANDS.items():
            show(f"{program} {command:<10}  {what:<38}  {program} {example}")
        return 0
    hint = f"did you mean {program} train {name[:100]} ...?" if name.startswith("-") else did_you_mean(name, COMMANDS)
    tell(
        f"{program}: {one_line(name)!r}: no such command; there are {', '.join(COMMANDS)}"
        + (f"; {hint}" if hint else "")
    )
    return EXIT_BAD_INPUT


def version() -> str:
    """Return the versions of sesemi, Keras and TensorFlow in one line, without loading them."""
    from importlib import metadata

    from sesemi import __version__

    def of(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "is not installed"

    return f"sesemi {__version__} (Keras {of('keras')}, TensorFlow {of('tensorflow')})"
