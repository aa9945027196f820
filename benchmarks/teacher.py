"""What a teacher costs: ``python benchmarks/teacher.py --network wrn``.

The update of `EMATeacher` and the whole training step of mean_teacher (64 + 64 images of CIFAR-10's shape) take turns
in one process; printed is the median share of the step.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import throughput

from sesemi.distribution.start import start_tensorflow


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of words in its place."""
    return throughput.arguments([*(sys.argv[1:] if typed is None else typed), "--method", "mean_teacher"])


def main(typed: Sequence[str] | None = None) -> None:
    """Time and print."""
    args = arguments(typed)
    start_tensorflow(args.gpu)
    from sesemi.assembly import build
    from sesemi.training.teacher import EMATeacher

    materials = throughput.random_materials(args)
    model = build.build_model(materials, fit_whitening=False)
    batches = build.batches(materials, 0, 10**6)
    mover = EMATeacher(0.99)
    how = {"verbose": 0, "shuffle": False, "callbacks": [mover]}
    model.fit(batches, steps_per_epoch=1, **how)  # traces and compiles
    shares, steps, updates = [], [], []
    for _ in range(args.rounds):
        began = time.perf_counter()
        model.fit(batches, steps_per_epoch=args.steps, **how)
        steps.append((time.perf_counter() - began) / args.steps)
        began = time.perf_counter()
        for _ in range(args.steps):
            mover.on_train_batch_end(0)
        model.teacher.trunk.weights[0].numpy()
        updates.append((time.perf_counter() - began) / args.steps)
        shares.append(updates[-1] / steps[-1])
    print(f"{args.network}, {args.precision}: medians of {args.rounds} rounds of {args.steps}")
    print(f"  a step with its update {1000 * statistics.median(steps):.1f} ms")
    print(f"  the update alone {1000 * statistics.median(updates):.2f} ms, {100 * statistics.median(shares):.2f} %")


if __name__ == "__main__":
    main()
