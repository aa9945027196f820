"""MixUp (Zhang et al. 2018, arXiv:1710.09412), and batches that share their images out evenly."""

import itertools

from keras import ops


def mix(first, second, ratio):
    """Return ``ratio * first + (1 - ratio) * second``, row by row.

    Args:
        first: ``[N, ...]``.
        second: ``[N, ...]``.
        ratio: ``[N]`` in [0, 1].
    """
    ratio = ops.reshape(ratio, (-1, *[1] * (len(first.shape) - 1)))
    return ratio * first + (1.0 - ratio) * second


def interleave(batches):
    """Exchange slice i of the first batch with slice i of batch i; a second call undoes it.

    The first batch then holds as many rows of every batch, and each other batch holds some rows of the first. BatchNorm
    needs this if the batches go through a network one by one (the authors of MixMatch).

    Args:
        batches: K tensors ``[B, ...]`` of one size.

    Raises:
        ValueError: If their sizes differ.
    """
    sizes = {batch.shape[0] for batch in batches}
    if len(sizes) > 1:
        raise ValueError(f"batches to interleave must be of one size, got {', '.join(map(str, sorted(sizes)))}")
    count, size = len(batches), batches[0].shape[0]
    bounds = [size * i // count for i in range(count + 1)]
    slices = [[batch[a:b] for a, b in itertools.pairwise(bounds)] for batch in batches]
    for i in range(1, count):
        slices[0][i], slices[i][i] = slices[i][i], slices[0][i]
    return [ops.concatenate(parts) for parts in slices]
