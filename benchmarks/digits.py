"""Test error of every method on scikit-learn's digits, with equal updates: ``python benchmarks/digits.py --labels 50``.

Prints a Markdown table of mean and standard deviation over the seeds; a seed fixes the split, the weights and all
that is random. Runs are kept in ``--output`` and not repeated.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sesemi.config import resolve
from sesemi.config.registry import METHODS
from sesemi.distribution.start import start_tensorflow


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of words in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to N - 1")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--epochs", type=int, help="default: those of digits")
    parser.add_argument("--steps-per-epoch", type=int, default=62)
    parser.add_argument("--joint-forward", action=argparse.BooleanOptionalAction)
    parser.add_argument("--output", help="where the runs are kept (default: a folder that is removed)")
    return parser.parse_args(typed)


def main(typed: Sequence[str] | None = None) -> None:
    """Run, then print the table."""
    args = arguments(typed)
    start_tensorflow("cpu")
    with tempfile.TemporaryDirectory() as aside:
        found = {method: [one(args, method, seed, aside) for seed in range(args.seeds)] for method in args.methods}
    print(f"\n| method | student [%], {args.labels} labels | teacher | mean of 4 views | gain over supervised |")
    print("|---|---|---|---|---|")
    baseline = statistics.mean(r["test_error"] for r in found["supervised"]) if "supervised" in found else None
    for method, runs in found.items():
        gain = f"{baseline - statistics.mean(r['test_error'] for r in runs):+.2f}" if baseline is not None else ""
        columns = [spread([r[key] for r in runs]) for key in ("student", "teacher", "test_error_views")]
        print(f"| {method} | {' | '.join(columns)} | {gain} |")


def one(args: argparse.Namespace, method: str, seed: int, aside: str) -> dict:
    """The results of one run, with the errors of student and teacher by these names."""
    from sesemi.runs.run import run

    # The same updates for all: an epoch of asl would otherwise be one of its labeled images.
    given = {"method": method, "seed": seed, "labels": args.labels, "gpu": "cpu", "quiet": True}
    given |= {"epochs": args.epochs, "steps_per_epoch": args.steps_per_epoch}
    given |= {"output": args.output or aside, "joint_forward": args.joint_forward}
    found = run(*resolve(given), say=lambda _: None)
    print(f"{method} seed {seed}: {found['test_error']:.2f} ({found['seconds']:.0f} s)", flush=True)
    errors = {"student": found.get("student_test_error"), "teacher": found.get("teacher_test_error")}
    return found | errors | {found["evaluated"]: found["test_error"]}


def spread(values: list[float | None]) -> str:
    """Mean and standard deviation; nothing for a method without a teacher."""
    if None in values:
        return ""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


if __name__ == "__main__":
    main()
