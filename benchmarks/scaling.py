"""Images/s of one and of two workers, each on a core of its own: ``python benchmarks/scaling.py --network wrn``.

Every worker has the same part of a batch, so with two of them a step has twice the images. They are two processes on
this machine that talk over loopback, as two machines would over a network. Also prints what is sent in a step.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from sesemi.config.registry import METHODS, NETWORKS
from sesemi.config.sections import SETTINGS
from sesemi.distribution.start import start_tensorflow


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of words in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="mini")
    parser.add_argument("--method", choices=list(METHODS), default="sesemi")
    parser.add_argument("--precision", choices=SETTINGS["precision"].choices, default="float32")
    parser.add_argument("--batch-size", type=int, default=16, help="unlabeled images of a worker")
    parser.add_argument("--labeled-batch-size", type=int, default=96, help="labeled images of a worker")
    parser.add_argument("--steps", type=int, default=10, help="of each in a round")
    parser.add_argument("--rounds", type=int, default=3, help="of one worker and two in turn")
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(typed)


def main(typed: Sequence[str] | None = None) -> None:
    """Start the workers in turn, and print."""
    args = arguments(typed)
    if args.core is not None:
        work(args)
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    found = {1: [], 2: []}
    for _ in range(args.rounds):
        for count in found:
            found[count].append(measured(cores[:count], sys.argv[1:] if typed is None else typed))
            print(f"{count} x: {found[count][-1]['images_per_second']:.1f} images/s", flush=True)
    rates = {count: statistics.median(r["images_per_second"] for r in runs) for count, runs in found.items()}
    ratios = [b["images_per_second"] / a["images_per_second"] for a, b in zip(found[1], found[2], strict=True)]
    print(f"{args.network}, {args.method}, {args.precision}, {args.labeled_batch_size} + {args.batch_size} a worker")
    print(f"  one worker   {rates[1]:9.1f} images/s, median of {args.rounds}")
    print(f"  two workers  {rates[2]:9.1f} images/s; two / one {statistics.median(ratios):.2f}")
    gradients, averages = (f"{found[2][0][name]:,}" for name in ("gradients", "averages"))
    print(f"  all-reduced in a step [bytes]: gradients {gradients}, BatchNorm's averages {averages}")


def measured(cores: list[int], typed: Sequence[str]) -> dict:
    """What the first of one worker a core says; `typed` are the words of the command line."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in cores]
    cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]}
    for s in sockets:
        s.close()
    processes = []
    for index, core in enumerate(cores):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
        environment = os.environ | threads | ({"TF_CONFIG": json.dumps(task)} if len(cores) > 1 else {})
        command = [sys.executable, __file__, *typed, "--core", str(core)]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    texts = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("a worker failed")
    return json.loads(texts[0].splitlines()[-1])


def work(args: argparse.Namespace) -> None:
    """Be one of the workers."""
    os.sched_setaffinity(0, {args.core})
    start_tensorflow(workers="TF_CONFIG" in os.environ)
    import tensorflow as tf
    from throughput import random_materials

    from sesemi.assembly import build
    from sesemi.assembly.plan import time_step
    from sesemi.distribution import workers
    from sesemi.primitives import layers, replicas

    strategy = replicas.of_workers() if workers.addresses() else tf.distribute.get_strategy()
    count = strategy.num_replicas_in_sync
    sizes = {"batch_size": args.batch_size * count, "labeled_batch_size": args.labeled_batch_size * count}
    with strategy.scope():
        materials = random_materials(argparse.Namespace(**vars(args) | sizes, jit="off", gpu="cpu"))
        model = build.build_model(materials, fit_whitening=False)
        seconds = time_step(model, materials, steps=args.steps)
    trained = sum(variable.numpy().nbytes for variable in model.trainable_variables)
    names = layers.MOVING_AVERAGES
    averages = [v for v in model.classifier.non_trainable_variables if v.name in names]
    found = {"images_per_second": materials.images_per_step / seconds, "gradients": trained}
    print(json.dumps(found | {"averages": sum(v.numpy().nbytes for v in averages)}))
    workers.share("done")


if __name__ == "__main__":
    main()
