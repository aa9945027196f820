"""tf.data streams of indices, which point into the pixels on the device.

Every epoch is an exact permutation of the pool, and every batch a pure function of (seed, step): no shuffle buffer, and
nothing to save for a resume.
"""

import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from sesemi.primitives import replicas
from sesemi.primitives.rng import Draws

_ROUNDS = 8
# For tiny ranges the cipher is slow and prefers some places (chi-square 7 a degree of freedom for 10 to 50 images,
# 1.0 for 1,000), and few labels are what this program is for.
_SMALL_POOL = 1000


def index_batches(
    labeled: np.ndarray,
    unlabeled: np.ndarray,
    *,
    labeled_batch_size: int,
    batch_size: int,
    seed: int,
    start: int = 0,
    stop: int,
    extra: np.ndarray | None = None,
    fetch: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Return the batches of the steps `start` to `stop` - 1; those of a step are the same whatever `start` is.

    Under a strategy with several replicas, each has its part of the batches, in the order of the replicas.

    Args:
        labeled: Pool of indices of labeled images.
        unlabeled: Pool of indices of unlabeled images.
        labeled_batch_size: Number of labeled images in a step, over all replicas.
        batch_size: Number of unlabeled images in a step, over all replicas.
        seed: Seed of the order.
        start: First step.
        stop: Step after the last.
        extra: Pool of indices of images from elsewhere: every second unlabeled image of a step is one of them.
        fetch: Function that adds the images to a batch, see `StreamedPixels`.

    Returns:
        Elements ``{"step": int64 scalar, "labeled": [B] int32, "unlabeled": [U] int32}``; under a strategy those of a
        replica, as ``[1, B]`` and ``[1, U]``.

    Raises:
        ValueError: If a batch size is no multiple of the number of replicas (with `extra` of twice that).
    """
    shares = replicas.count()
    mixed = extra is not None and len(extra) > 0
    if labeled_batch_size % shares or batch_size % shares:
        raise ValueError(
            f"{labeled_batch_size} labeled and {batch_size} unlabeled images do not divide by {shares} devices"
        )
    if mixed and batch_size % (2 * shares):
        raise ValueError(f"{batch_size} unlabeled images, half of them extra ones, do not divide by {shares} devices")
    streams = {
        "labeled": (tf.constant(labeled, tf.int32), labeled_batch_size),
        "unlabeled": (tf.constant(unlabeled, tf.int32), batch_size),
    }

    extra_pool = tf.constant(extra, tf.int32) if mixed else None

    def drawn(name, step, replica):
        pool, size = streams[name]
        own = size // shares
        first = step * size + replica * own
        if name == "unlabeled" and mixed:
            half = first // 2 + tf.range(own // 2, dtype=tf.int64)
            pairs = [_shuffled(pool, half, seed, name), _shuffled(extra_pool, half, seed, "extra")]
            return tf.reshape(tf.stack(pairs, axis=1), (own,))
        return _shuffled(pool, first + tf.range(own, dtype=tf.int64), seed, name)

    def part_of(step, replica):
        return {"step": step} | {name: drawn(name, step, replica) for name in streams}

    def parts(first: int, own: int) -> tf.data.Dataset:
        """Return the parts of the replicas from `first` on, in turn: one for each in every step."""
        turns = tf.data.Dataset.range(start * own, stop * own)
        found = turns.map(lambda i: part_of(i // own, first + i % own), num_parallel_calls=1, deterministic=True)
        if fetch is not None:
            found = found.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if shares > 1:
            # The streams of several workers forget the size of the first axis, so they are given another one.
            found = found.map(lambda part: {k: v if k == "step" else v[None] for k, v in part.items()})
        return found.prefetch(tf.data.AUTOTUNE)

    if shares == 1:
        gpus = tf.config.list_logical_devices("GPU")
        ahead = fetch is not None and gpus
        return parts(0, 1).apply(tf.data.experimental.prefetch_to_device(gpus[0].name)) if ahead else parts(0, 1)

    def parts_of_worker(context):
        own = shares // context.num_input_pipelines
        return parts(own * context.input_pipeline_id, own)

    return tf.distribute.get_strategy().distribute_datasets_from_function(parts_of_worker)


def _shuffled(pool: tf.Tensor, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """Return the entries at `positions`, consecutive, of the endless sequence of shuffled copies of `pool`."""
    shuffle = _sorted_order if pool.shape[0] < _SMALL_POOL else _cipher_order
    return tf.gather(pool, shuffle(pool.shape[0], positions, seed, name))


def _cipher_order(count: int, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """Return the order by a cipher on the positions: nothing is stored, whatever the size of the pool."""
    epochs = positions // count
    constant = tf.ones_like(epochs)
    seeds = tf.stack([constant * seed, epochs, constant * zlib.crc32(name.encode())], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count, seed=seeds, max_index=constant * (count - 1), rounds=_ROUNDS
    )


def _sorted_order(count: int, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """Return the order by sorting random numbers, one order for each epoch that the positions touch."""
    first = positions[0] // count
    touched = (positions.shape[0] - 1) // count + 2
    orders = [tf.argsort(Draws(seed, first + i).at("order").uniform(name, (count,))) for i in range(touched)]
    return tf.gather_nd(tf.stack(orders), tf.stack([positions // count - first, positions % count], axis=1))
