"""``python -m sesemi``: the same as ``train_evaluate_sesemi.py``."""

import sys

from sesemi.cli import main

sys.exit(main(program="python -m sesemi"))
