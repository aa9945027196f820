"""Memory of methods: tables with a row for every training image, and running averages of batches."""

from keras import ops

from sesemi.primitives import replicas


def read(table, index):
    """Return the rows ``[U, ...]`` of a table ``[N, ...]`` at `index` ``[U]``."""
    return ops.take(table, index, axis=0)


def write(table, index, rows, mask=None) -> None:
    """Replace the rows at `index` by those of all replicas. The later row stays where an image occurs twice.

    Args:
        table: Variable ``[N, ...]``.
        index: ``[U]`` int.
        rows: ``[U, ...]``; no gradient flows through them.
        mask: ``[U]`` bool, true for the rows to write; default: all.
    """
    put(table, *map(replicas.gather, (index, rows)), mask=None if mask is None else replicas.gather(mask))


def put(table, index, rows, mask=None) -> None:
    """Replace the rows at `index` by rows that every replica has already. The arguments are those of `write`."""
    # A scatter update has no defined order for duplicates, so all of them are given the row of the last one.
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


def move(average, value, decay: float, *, copies_first: bool = False):
    """Update ``average <- decay average + (1 - decay) value``, without gradient.

    Args:
        average: Variable of any shape.
        value: Value of this step, of the same shape, and equal on all replicas (`sesemi.primitives.replicas`).
        decay: Share of the old average that is kept, in [0, 1].
        copies_first: True makes an average that is all zeros, as before the first update, the value itself.

    Returns:
        The average after the update.
    """
    value = ops.stop_gradient(ops.cast(value, average.dtype))
    moved = decay * average + (1.0 - decay) * value
    if copies_first:
        moved = ops.where(ops.any(average != 0.0), moved, value)
    average.assign(moved)
    return moved
