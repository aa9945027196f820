"""Images/s of RandAugment with Cutout: ``python benchmarks/augment.py``.

Ours (one `tf.function` over the batch, compiled by XLA and not), `keras.layers.RandAugment` mapped image by image in
tf.data (its 11 operations, without Cutout), and a loop over Pillow with our 14 operations and Cutout: alone, threaded,
and in processes that get the arrays and send them back. They take turns, so that a machine whose speed drifts does not
favour one of them. Two operations an image, all applied, random magnitudes. Quote the median of the ratios.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent import futures
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sesemi.distribution.start import start_tensorflow

CORES = os.cpu_count()


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of words in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=448)
    parser.add_argument("--side", type=int, default=32, help="of the square images, in pixels")
    parser.add_argument("--gpu", default="cpu", help="as of the training script; the others stay on the CPU")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="that each takes in a round, about")
    return parser.parse_args(typed)


def main(typed: Sequence[str] | None = None) -> None:
    """Time and print."""
    args = arguments(typed)
    prepare(args.gpu)
    images = photos(args.batch_size, args.side)
    with (
        futures.ThreadPoolExecutor(CORES) as threads,
        futures.ProcessPoolExecutor(CORES, get_context("spawn"), prepare, ("cpu",)) as processes,
    ):
        rivals = {
            "Keras in tf.data": in_tf_data(images),
            "Pillow": again(lambda: pillow_views(images, 0)),
            f"Pillow, {CORES} threads": again(lambda: in_parallel(threads, images)),
            f"Pillow, {CORES} processes": again(lambda: in_parallel(processes, images)),
        }
        ours = {"ours, uncompiled": of_ours(images, jit=False), "ours, compiled": of_ours(images, jit=True)}
        rates = time_in_turn(ours | rivals, args)
    print(f"images/s, median of {args.rounds} rounds; batches of {args.batch_size}, side {args.side}, {CORES} cores")
    for name, values in rates.items():
        print(f"  {name:<22} {statistics.median(values):9.0f}   ({min(values):.0f} to {max(values):.0f})")
    best = max(rivals, key=lambda name: statistics.median(rates[name]))
    for name in ours:
        ratios = [a / b for a, b in zip(rates[name], rates[best], strict=True)]
        print(f"  {name} / {best}: {statistics.median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")


def prepare(gpu: str) -> None:
    """Load TensorFlow quietly, in a worker too: the tests' Pillow, which it runs, stands beside it."""
    start_tensorflow(gpu)


def photos(count: int, side: int):
    """``[count, side, side, 3]`` uint8: crops of scikit-learn's photographs, every fourth pixel."""
    import numpy as np

    from tests.augmentation.test_randaugment import crops

    return np.ascontiguousarray(crops(side, side, count))


def time_in_turn(timed: dict, args: argparse.Namespace) -> dict:
    """Images/s of every round; `timed` make a number of batches, here for about `args.seconds`."""
    batches = {}
    for name, run in timed.items():
        run(1)  # traces, compiles, starts workers
        batches[name] = max(1, round(args.seconds / seconds(run, 1)))
    rates = {name: [] for name in timed}
    for _ in range(args.rounds):
        for name, run in timed.items():
            rates[name].append(args.batch_size * batches[name] / seconds(run, batches[name]))
    return rates


def seconds(run, batches: int) -> float:
    """That it takes."""
    began = time.perf_counter()
    run(batches)
    return time.perf_counter() - began


def again(make_batch):
    """From one batch to a number of them."""

    def run(batches: int):
        for _ in range(batches):
            make_batch()

    return run


def of_ours(images, *, jit: bool):
    """A view of the batch at every call."""
    import itertools

    import tensorflow as tf

    from sesemi.augmentation.randaugment import RandAugment
    from sesemi.primitives.rng import Draws

    policy, pixels, steps = RandAugment(operations=2, probability=1.0), tf.constant(images), itertools.count()
    view = tf.function(lambda pixels, step: policy(pixels, Draws(0, step)), jit_compile=jit)
    return again(lambda: view(pixels, tf.constant(next(steps), tf.int64)).numpy())


def in_tf_data(images):
    """Keras' layer sees one image at a time, as it would draw the same operations for a whole batch."""
    import keras
    import tensorflow as tf

    layer = keras.layers.RandAugment(num_ops=2, factor=0.3, interpolation="nearest")
    single = tf.data.Dataset.from_tensor_slices(images)

    def run(batches: int):
        views = single.repeat(batches).map(layer, num_parallel_calls=tf.data.AUTOTUNE)
        for batch in views.batch(len(images)).prefetch(tf.data.AUTOTUNE):
            batch.numpy()

    return run


def in_parallel(executor, images):
    """A share of the images for each worker."""
    import numpy as np

    return np.concatenate(list(executor.map(pillow_views, np.array_split(images, CORES), range(CORES))))


def pillow_views(images, seed: int):
    """A view of every image, one by one."""
    import numpy as np

    rng = random.Random(seed)
    return np.stack([pillow_view(image, rng) for image in images])


def pillow_view(image, rng: random.Random):
    """Two of the tests' operations, then a square."""
    import numpy as np
    from PIL import Image

    from tests.augmentation.test_randaugment import PILLOW, RANGES

    picture = Image.fromarray(image)
    for name in rng.choices(list(PILLOW), k=2):
        picture = PILLOW[name](picture, rng.uniform(*RANGES[name]), (127,) * 3)
    pixels, (height, width, _) = np.array(picture), image.shape
    side = rng.randint(0, min(height, width) // 2)
    top, left = rng.randrange(height) - side // 2, rng.randrange(width) - side // 2
    pixels[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 127
    return pixels


if __name__ == "__main__":
    main()
