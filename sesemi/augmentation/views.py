"""Views on the device: shift, mirror and noise, and RandAugment in strong ones, with an own draw for every image.

Weak views are those of Tran 2019: they act on the preprocessed images, and the noise comes last. A strong view is
shifted and mirrored like a weak one, then distorted by `RandAugment` while it is raw pixels, then preprocessed. The
noise comes last here too.
"""

from dataclasses import dataclass, field

from keras import ops

from sesemi.augmentation.randaugment import RandAugment
from sesemi.primitives.rng import Draws

KINDS = ("weak", "unflipped", "strong")


@dataclass(frozen=True)
class Augmentation:
    """Strength of the views.

    Args:
        shift: Largest shift along each axis, in pixels; every whole number up to it is as likely.
        flip: True mirrors half of the ``weak`` and ``strong`` views left-right.
        noise: Standard deviation of the Gaussian noise, on the scale of the preprocessed images.
        strong: Distortion of a strong view.
    """

    shift: int = 2
    flip: bool = True
    noise: float = 0.15
    strong: RandAugment = field(default_factory=RandAugment)

    def view(self, kind: str, images, draws: Draws, preprocess):
        """Return one view of every image.

        Args:
            kind: ``weak``, ``unflipped`` for a branch that learns from mirroring, or ``strong``.
            images: ``[B, H, W, C]`` raw pixels in 0 … 255; a static shape, B included.
            draws: Source of the random numbers.
            preprocess: Function from raw pixels to the input of the trunk, ``[B, H, W, C]`` float32.

        Returns:
            ``[B, H, W, C]`` float32.

        Raises:
            ValueError: If the kind is unknown.
        """
        if kind not in KINDS:
            raise ValueError(f"no view {kind!r}; choose from {', '.join(KINDS)}")
        batch = images.shape[0]
        offsets = draws.integers("shift", (batch, 2), -self.shift, self.shift)
        flips = draws.uniform("flip", (batch,)) < 0.5 if self.flip and kind != "unflipped" else None
        if kind == "strong":
            images = preprocess(self.strong(shift_and_flip(images, offsets, flips), draws.at("strong")))
        else:
            images = shift_and_flip(preprocess(images), offsets, flips)
        return images + self.noise * draws.normal("noise", images.shape) if self.noise else images


def shift_and_flip(images, offsets, flips=None):
    """Shift by whole pixels, then mirror, in one gather.

    Pixels from outside are reflected with the edge repeated (``c b a | a b c``). scipy's ndimage, and so the 2019
    program, calls this reflection.

    Args:
        images: ``[B, H, W, C]``.
        offsets: ``[B, 2]`` int32, rows and columns: pixel ``(r, c)`` of the result is pixel
            ``(r + offset[0], c + offset[1])`` of the image; at most the image's side.
        flips: ``[B]`` bool, true for images to mirror left-right; None for none.

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
