"""``python -m sesemi`` is the command ``sesemi``."""

import sys

from sesemi.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
