"""Weak views on the device: shift, mirror and noise, an own draw for every image, the whole batch at once.

As in Tran 2019: they act on the preprocessed images, and the noise comes last.
"""

from dataclasses import dataclass

from keras import ops

from sesemi.rng import Draws

KINDS = ("weak", "unflipped")


@dataclass(frozen=True)
class Augmentation:
    """How strong the weak views are.

    Args:
        shift: largest shift along each axis, in pixels; every whole number up to it is as likely.
        flip: whether half of the ``weak`` views are mirrored left-right.
        noise: standard deviation of the Gaussian noise, on the scale of the preprocessed images.
    """

    shift: int = 2
    flip: bool = True
    noise: float = 0.15

    def view(self, kind: str, images, draws: Draws):
        """One view of every image.

        Args:
            kind: ``weak``, or ``unflipped`` for a branch that learns from mirroring.
            images: ``[B, H, W, C]`` float32, preprocessed; a static shape, B included.
            draws: where the random numbers come from.

        Returns:
            ``[B, H, W, C]`` float32.

        Raises:
            ValueError: an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"no view {kind!r}; choose from {', '.join(KINDS)}")
        batch = images.shape[0]
        offsets = draws.integers("shift", (batch, 2), -self.shift, self.shift)
        flips = draws.uniform("flip", (batch,)) < 0.5 if self.flip and kind == "weak" else None
        images = shift_and_flip(images, offsets, flips)
        return images + self.noise * draws.normal("noise", images.shape) if self.noise else images


def shift_and_flip(images, offsets, flips=None):
    """Shift by whole pixels, then mirror, in one gather.

    Pixels from outside are reflected with the edge repeated (``c b a | a b c``), which is what scipy's ndimage, and
    so the 2019 program, calls reflection.

    Args:
        images: ``[B, H, W, C]``.
        offsets: ``[B, 2]`` int32, rows and columns: pixel ``(r, c)`` of the result is pixel ``(r + offset[0],
            c + offset[1])`` of the image; at most the image's side.
        flips: ``[B]`` bool, which images to mirror left-right; None for none.

    Returns:
        ``[B, H, W, C]``.
    """
    batch, height, width, channels = images.shape
    columns = ops.arange(width)[None, :]
    if flips is not None:
        columns = ops.where(flips[:, None], width - 1 - columns, columns)
    rows = _reflect(ops.arange(height)[None, :] + offsets[:, :1], height)
    columns = _reflect(columns + offsets[:, 1:], width)
    first = ops.arange(batch)[:, None, None] * (height * width)
    flat = first + rows[:, :, None] * width + columns[:, None, :]
    return ops.take(ops.reshape(images, (-1, channels)), flat, axis=0)


def _reflect(index, size: int):
    index = ops.where(index < 0, -1 - index, index)
    return ops.where(index >= size, 2 * size - 1 - index, index)
