"""Tables with a row for every training image: what a network said of it when it was last seen."""

from keras import ops


def read(table, index):
    """Rows ``[U, ...]`` of a table ``[N, ...]`` at `index` ``[U]``."""
    return ops.take(table, index, axis=0)


def write(table, index, rows) -> None:
    """Replace the rows at `index`; of an image that occurs twice, the later row stays.

    Args:
        table: a variable ``[N, ...]``.
        index: ``[U]`` int.
        rows: ``[U, ...]``; no gradient flows through them.
    """
    # Scattering says nothing about the order of duplicates: all of them are given the row of the last one.
    positions = ops.arange(index.shape[0])
    same = index[:, None] == index[None, :]
    last = ops.max(ops.where(same, positions[None, :], -1), axis=1)
    rows = ops.cast(ops.stop_gradient(ops.take(rows, last, axis=0)), table.dtype)
    table.assign(ops.scatter_update(table, index[:, None], rows))
