"""Six transforms of SESEMI's self-supervised task (Tran 2019, §3), and the four rotations (Gidaris et al. 2018)."""

from keras import ops

TRANSFORMS = ("0°", "90°", "180°", "270°", "left-right", "up-down")


def six_views(images):
    """Return all six transforms of every image.

    Args:
        images: ``[B, H, H, C]``, square.

    Returns:
        ``[6 B, H, H, C]``: first all images as they are, then rotated by 90°, 180° and 270° counter-clockwise, then
        mirrored left-right, then up-down; the order of `six_labels`.

    Raises:
        ValueError: If the images are not square.
    """
    return ops.concatenate([four_views(images), ops.flip(images, axis=2), ops.flip(images, axis=1)])


def six_labels(batch: int):
    """Return the classes 0 to 5 of `six_views` of `batch` images: ``[6 B]`` int32."""
    return ops.repeat(ops.arange(len(TRANSFORMS), dtype="int32"), batch)


def four_views(images):
    """Return the first four of `six_views`: ``[4 B, H, H, C]``.

    Raises:
        ValueError: If the images are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"rotations need square images, got {images.shape[1]} x {images.shape[2]}")
    return ops.concatenate([ops.rot90(images, k, axes=(1, 2)) for k in range(4)])


def four_labels(batch: int):
    """Return the classes 0 to 3 of `four_views` of `batch` images: ``[4 B]`` int32."""
    return ops.repeat(ops.arange(4, dtype="int32"), batch)


def turned(images, sides):
    """Return each image rotated by its own multiple of 90° counter-clockwise.

    Args:
        images: ``[B, H, H, C]``, square.
        sides: ``[B]`` int, each in ``0 … 3``: how many times 90°.
    """
    batch = images.shape[0]
    return ops.take(four_views(images), sides * batch + ops.arange(batch, dtype="int32"), axis=0)
