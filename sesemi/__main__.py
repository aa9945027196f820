"""``python -m sesemi`` is ``train_evaluate_sesemi.py``; with a first word of `COMMANDS` it is something else."""

import importlib
import sys

from sesemi.commands.train import COMMANDS

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        sys.exit(importlib.import_module(COMMANDS[name]).main(sys.argv[2:]))
    if name and not name.startswith("-"):
        print(f"python -m sesemi: {name!r}: no such command; there are {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    from sesemi.commands.train import main

    sys.exit(main(program="python -m sesemi"))
