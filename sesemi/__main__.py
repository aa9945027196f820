"""``python -m sesemi`` is ``train_evaluate_sesemi.py``; ``python -m sesemi compare``: see `sesemi.compare`."""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        from sesemi import compare

        sys.exit(compare.main(sys.argv[2:]))
    from sesemi.cli import main

    sys.exit(main(program="python -m sesemi"))
