"""Images/s of the bare training step and of the whole ``fit``: ``python benchmarks/throughput.py --network wrn``.

Four things take turns in one process, so that a machine whose speed drifts does not favour one of them: forward,
backward and update alone (views that were made beforehand), the bare compiled step (one batch of indices again and
again, views included), the same network with Keras' stock BatchNormalization, and ``model.fit`` with tf.data and the
callbacks of a run. CIFAR-10's shapes, random pixels. Quote the median of the ratios.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sesemi.config import resolve
from sesemi.config.registry import METHODS, NETWORKS
from sesemi.config.sections import SETTINGS
from sesemi.distribution.start import start_tensorflow


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of words in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="wrn")
    parser.add_argument("--method", choices=list(METHODS), default="sesemi")
    parser.add_argument("--precision", choices=SETTINGS["precision"].choices, default="float32")
    parser.add_argument("--jit", choices=SETTINGS["jit"].choices, default="auto")
    parser.add_argument("--gpu", default="0")
    parser.add_argument("--batch-size", type=int, help="unlabeled images (default: the method's on CIFAR-10)")
    parser.add_argument("--labeled-batch-size", type=int)
    parser.add_argument("--steps", type=int, default=6, help="of each in a round")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args(typed)


def main(typed: Sequence[str] | None = None) -> None:
    """Time and print."""
    args = arguments(typed)
    start_tensorflow(args.gpu)
    materials = random_materials(args)
    timed = {
        "forward-backward": bare_step(materials, args.steps, views=False),
        "bare step": bare_step(materials, args.steps),
        "bare step, stock BatchNormalization": stock(lambda: bare_step(materials, args.steps)),
        "fit": whole_fit(materials, args.steps),
    }
    for run in timed.values():
        run()  # traces and compiles
    rates = {name: [] for name in timed}
    for _ in range(args.rounds):
        for name, run in timed.items():
            began = time.perf_counter()
            run()
            rates[name].append(materials.images_per_step * args.steps / (time.perf_counter() - began))
    print(f"{args.network}, {args.method}, {args.precision}, jit {args.jit}: images/s, median of {args.rounds} rounds")
    for name, values in rates.items():
        print(f"  {name:<36} {statistics.median(values):9.1f}   ({min(values):.1f} to {max(values):.1f})")
    pairs = ("bare step", "bare step, stock BatchNormalization"), ("fit", "bare step"), ("fit", "forward-backward")
    for above, below in pairs:
        ratios = [a / b for a, b in zip(rates[above], rates[below], strict=True)]
        print(f"  {above} / {below}: {statistics.median(ratios):.3f}")


def random_materials(args):
    """What `assembly.materials.gather` would give for CIFAR-10, of random pixels."""
    import numpy as np

    from sesemi import datasets
    from sesemi.assembly import method
    from sesemi.assembly.materials import Materials
    from sesemi.pipeline import splits
    from sesemi.pipeline.pixels import DevicePixels

    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (50_000, 100))
    labels = (np.arange(50_000) % 10).astype(np.int32)
    data = datasets.ImageData(train, labels, test, labels[:100], tuple("0123456789"))
    given = {name: getattr(args, name) for name in ("network", "method", "precision", "jit", "gpu")}
    given |= {name: getattr(args, name) for name in ("batch_size", "labeled_batch_size")}
    given |= (
        {"batch_size": 64, "labeled_batch_size": 64}
        if args.method == "mean_teacher" and args.batch_size is None
        else {}
    )
    resolved, _ = resolve({"dataset": "cifar10", "steps_per_epoch": 3125, **given})
    split, pixels = splits.split(labels, 4000, 0, classes="0123456789"), DevicePixels(train, labels)
    return Materials(resolved, method.make(resolved), data, split, resolved.steps_per_epoch, pixels=pixels)


def bare_step(materials, steps: int, *, views: bool = True):
    """The compiled step alone, on one batch; without views, on those that were made of it once."""
    import tensorflow as tf

    from sesemi.assembly import build
    from sesemi.methods.base import Report
    from sesemi.primitives import rng

    model = build.build_model(materials, fit_whitening=False)
    jit = {"auto": bool(tf.config.list_physical_devices("GPU")), "on": True, "off": False}[materials.config.jit]
    batch = next(iter(build.batches(materials, 0, 1)))
    if not views:
        made = model.views(model.pixels(batch), rng.Draws(0, 0))
        model.views = lambda batch, draws: dataclasses.replace(made, draws=draws.at("method"), report=Report())
    step = tf.function(model.train_step, jit_compile=jit)

    def run():
        for _ in range(steps):
            logs = step(batch)
        float(logs["loss"])

    return run


def stock(build):
    """Build with Keras' own BatchNormalization in place of the fused one."""
    import keras

    from sesemi.primitives import layers

    fused = layers._TRAINED.pop(keras.layers.BatchNormalization)
    try:
        return build()
    finally:
        layers._TRAINED[keras.layers.BatchNormalization] = fused


def whole_fit(materials, steps: int):
    """``fit`` with tf.data and the callbacks of every step."""
    from sesemi.assembly import build
    from sesemi.runs import callbacks, progress
    from sesemi.training.guard import StopOnNonFiniteLoss

    model = build.build_model(materials, fit_whitening=False)
    batches = build.batches(materials, 0, 10**9)
    timing = {"steps_per_epoch": 10**9, "first_step": 0}
    saver = callbacks.SaveAndStop(None, dict, every_s=float("inf"), **timing)
    saver.on_epoch_end = lambda *_, **__: None  # the short epochs below end nothing
    shown = progress.Progress(epochs=1, images_per_step=materials.images_per_step, show=False, started=0.0, **timing)
    guard = StopOnNonFiniteLoss(lambda: saver.step)

    def run():
        model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[guard, shown, saver])

    return run


if __name__ == "__main__":
    main()
