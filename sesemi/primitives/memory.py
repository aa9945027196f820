"""What methods remember: tables with a row for every training image, and running averages of batches."""

from keras import ops

from sesemi.primitives import replicas


def read(table, index):
    """Rows ``[U, ...]`` of a table ``[N, ...]`` at `index` ``[U]``."""
    return ops.take(table, index, axis=0)


def write(table, index, rows, mask=None) -> None:
    """Replace the rows at `index`, those of all replicas; of an image that occurs twice, the later row stays.

    Args:
        table: a variable ``[N, ...]``.
        index: ``[U]`` int.
        rows: ``[U, ...]``; no gradient flows through them.
        mask: ``[U]`` bool, which of them to write; default: all.
    """
    put(table, *map(replicas.gather, (index, rows)), mask=None if mask is None else replicas.gather(mask))


def put(table, index, rows, mask=None) -> None:
    """`write` of rows that every replica has; arguments as there."""
    # Scattering says nothing about the order of duplicates: all of them are given the row of the last one.
    positions = ops.arange(index.shape[0])
    same = index[:, None] == index[None, :]
    if mask is not None:
        same = ops.logical_and(same, mask[None, :])
    last = ops.max(ops.where(same, positions[None, :], -1), axis=1)
    rows = ops.cast(ops.stop_gradient(ops.take(rows, ops.maximum(last, 0), axis=0)), table.dtype)
    if mask is not None:
        written = ops.reshape(last >= 0, (-1, *[1] * (len(rows.shape) - 1)))
        rows = ops.where(written, rows, read(table, index))
    table.assign(ops.scatter_update(table, index[:, None], rows))


def move(average, value, decay: float):
    """``average <- decay average + (1 - decay) value``, without gradient.

    Args:
        average: a variable of any shape.
        value: of this step, of the same shape, and equal on all replicas (`sesemi.primitives.replicas`).
        decay: in [0, 1].

    Returns:
        The average after the update.
    """
    moved = decay * average + (1.0 - decay) * ops.stop_gradient(ops.cast(value, average.dtype))
    average.assign(moved)
    return moved
