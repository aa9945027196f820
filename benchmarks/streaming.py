"""A training step whose pictures are decoded while training, against one whose pictures lie on the device.

    python benchmarks/streaming.py --data-dir DIR --network wrn --steps 4 --rounds 3

DIR is a folder as ``--dataset folder`` takes it. Both make the same updates; rounds go in turn.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of words in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--network", default="wrn")
    parser.add_argument("--method", default="sesemi")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(typed)


def main(typed: Sequence[str] | None = None) -> None:
    """Time and print."""
    args = arguments(typed)
    from sesemi.distribution.start import start_tensorflow

    start_tensorflow("cpu")
    from sesemi.assembly import build
    from sesemi.assembly.materials import gather
    from sesemi.assembly.plan import time_step
    from sesemi.config import resolve

    sides = {}
    for name, limit in (("in memory", 10**6), ("streamed", 1)):
        settings, _ = resolve(
            {
                "dataset": "folder",
                "data_dir": args.data_dir,
                "network": args.network,
                "method": args.method,
                "image_size": args.image_size,
                "memory_limit": limit,
            }
        )
        began = time.perf_counter()
        materials = gather(settings)
        seconds = time.perf_counter() - began
        images = len(materials.data.train_images)
        print(f"{name}: {type(materials.pixels).__name__}, {images} training images, ready after {seconds:.1f} s")
        sides[name] = (build.build_model(materials, fit_whitening=False), materials)
    times = {name: [] for name in sides}
    for number in range(args.rounds + 1):
        for name, (model, materials) in sides.items():
            seconds = time_step(model, materials, args.steps)
            # The first round compiles.
            if number:
                times[name].append(materials.images_per_step / seconds)
    for name, speeds in times.items():
        print(f"{name:<10} {statistics.median(speeds):8.1f} images/s   ({', '.join(f'{s:.1f}' for s in speeds)})")
    print(f"streamed / in memory: {statistics.median(times['streamed']) / statistics.median(times['in memory']):.3f}")


if __name__ == "__main__":
    main()
