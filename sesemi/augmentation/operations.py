"""Operations of RandAugment on a whole batch at once, with Pillow's pixels to the bit.

Pixels are whole numbers in float32 and magnitudes multiples of 2**-12, which makes products and sums exact. Whether
they are fused changes nothing, so eager mode, a graph and XLA agree to the bit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops


class Operation(NamedTuple):
    """Change of images, and the range of its magnitudes: whole numbers from `low` to `high`, divided by `unit`.

    ``change(images, magnitudes)`` takes ``[b, H, W, C]`` and ``[b, 1, 1, 1]`` float32. If it `moves` pixels,
    ``change(magnitudes, height, width)`` says where they come from, as `affine` wants it.
    """

    change: Callable[..., Any]
    low: int = 0
    high: int = 0
    unit: int = 1
    moves: bool = False

    def magnitudes(self, uniform, level: float | None):
        """Return magnitudes, random ones from `uniform` in [0, 1), or `level` as a part of the range.

        With a `level`, the sign is random if the range has two.
        """
        if level is None:
            steps = self.low + ops.floor(uniform * (self.high - self.low + 1))
        elif self.low < 0:
            steps = ops.where(uniform < 0.5, -1.0, 1.0) * round(level * self.high)
        else:
            steps = ops.full_like(uniform, self.low + round(level * (self.high - self.low)))
        return steps / self.unit


def apply(name: str, images, magnitudes, fill: int = 127):
    """Apply one operation alone.

    Args:
        name: Key of `OPERATIONS`.
        images: ``[B, H, W, C]``, whole numbers in ``0 … 255``, of any dtype.
        magnitudes: ``[B]``: Pillow's factor, bits, threshold or angle; a shear's coefficient; a translation's part of
            the side. Multiples of 2**-12 are exact.
        fill: Grey of pixels from outside of an image.

    Returns:
        ``[B, H, W, C]`` float32, whole numbers in ``0 … 255``.
    """
    magnitudes = ops.reshape(ops.cast(magnitudes, "float32"), (-1, 1, 1, 1))
    images, operation = ops.cast(images, "float32"), OPERATIONS[name]
    if operation.moves:
        return affine(images, operation.change(magnitudes, *images.shape[1:3]), fill)
    return operation.change(images, magnitudes)


def _autocontrast(images, magnitudes):
    low, high = (ops.cast(of(images, axis=(1, 2)), "int32") for of in (ops.min, ops.max))
    # Pillow truncates pixel * scale - low * scale in float64. XLA would fuse a product and the difference, and round
    # once instead of twice. So the products are constants.
    pixels = np.arange(256.0)
    products = ops.convert_to_tensor(np.outer(np.append(0.0, 255.0 / pixels[1:]), pixels))
    start = ops.take(ops.reshape(products, (-1,)), (high - low) * 256 + low)
    start = ops.where(high > low, start, -ops.cast(low, "float64"))  # a single value stays
    table = ops.take(products, high - low, axis=0) - start[..., None]
    return _look_up(images, ops.floor(ops.clip(table, 0.0, 255.0)))


def _equalize(images, magnitudes):
    batch, _, _, channels = images.shape
    bins = ops.reshape(ops.cast(images, "int32") + _first_bins(images), (-1,))
    counts = ops.segment_sum(ops.ones_like(bins), bins, num_segments=batch * channels * 256)
    counts = ops.reshape(counts, (batch, channels, 256))
    darker = ops.cast(ops.cumsum(counts, axis=-1) - counts, "float32")
    below_brightest = ops.cast(images < ops.max(images, axis=(1, 2), keepdims=True), "float32")
    step = ops.floor((ops.sum(below_brightest, axis=(1, 2))[..., None] + 0.5) / 255)
    table = ops.floor((darker + ops.floor(step / 2) + 0.5) / ops.maximum(step, 1.0))
    return _look_up(images, select(step > 0, ops.minimum(table, 255.0), ops.arange(256, dtype="float32")))


def _look_up(images, tables):
    """Return each pixel's entry of the table of its image and channel, ``[b, C, 256]``."""
    tables = ops.reshape(ops.cast(tables, "float32"), (-1,))
    return ops.take(tables, ops.cast(images, "int32") + _first_bins(images))


def _first_bins(images):
    batch, _, _, channels = images.shape
    return ops.reshape(ops.arange(batch * channels) * 256, (batch, 1, 1, channels))


def _blend(degenerate, images, factor):
    return ops.floor(degenerate + factor * (images - degenerate))


def _luma(images):
    """Return ``[b, H, W, 1]``: Pillow's L of three channels, the rounded mean of any other number."""
    channels = images.shape[-1]
    if channels == 3:
        weighted = ops.sum(images * np.array([19595, 38470, 7471], np.float32), axis=-1, keepdims=True)
        return ops.floor((weighted + 0x8000) / 65536)
    # A quarter keeps the quotient off the whole numbers, where its rounding would matter.
    return ops.floor((ops.sum(images, axis=-1, keepdims=True) + channels / 2 + 0.25) / channels)


def _mean(images):
    """Return ``[b, 1, 1, 1]``: the rounded mean of grey images."""
    pixels = images.shape[1] * images.shape[2]
    total = ops.sum(ops.cast(images, "int32"), axis=(1, 2, 3), keepdims=True)
    return ops.cast((2 * total + pixels) // (2 * pixels), "float32")


def _smooth(images):
    """Apply Pillow's SMOOTH, which leaves the border as it is."""
    if min(images.shape[1:3]) < 3:
        return images
    rows = images[:, :-2] + images[:, 1:-1] + images[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * images[:, 1:-1, 1:-1]
    inner = [images[:, 1:-1, :1], ops.floor((total + 6.5) / 13), images[:, 1:-1, -1:]]
    return ops.concatenate([images[:, :1], ops.concatenate(inner, axis=2), images[:, -1:]], axis=1)


def select(condition, images, others):
    """Select like `ops.where`, which is slow in TensorFlow with a broadcast condition; exact in uint8, modulo 256."""
    return others + ops.cast(condition, others.dtype) * (images - others)


def _posterize(images, bits):
    lost = ops.cast(8 - bits, "int32")
    return ops.cast(ops.left_shift(ops.right_shift(ops.cast(images, "int32"), lost), lost), "float32")


def _rotate(degrees, height, width):
    """Return places for a counter-clockwise rotation around the middle."""
    radians = -ops.cast(degrees, "float64") * (np.pi / 180)
    cos, sin = ops.cos(radians), ops.sin(radians)
    across, down = width / 2, height / 2
    column = (cos, sin, across - cos * across - sin * down)
    return _places(degrees, *column, -sin, cos, down + sin * across - cos * down)


def _places(magnitudes, *coefficients):
    """Return `places` for `affine`, ``[b, 6]`` float64, from numbers and tensors ``[b, 1, 1, 1]``."""
    like = ops.cast(magnitudes, "float64")
    return ops.concatenate([like * 0 + ops.cast(value, "float64") for value in coefficients], axis=-1)[:, 0, 0]


def affine(images, places, fill):
    """Apply Pillow's affine transform with its nearest pixel, found in numbers of 16 bits after the point.

    `places` ``[b, 6]`` holds six factors. The first three, multiplied with the column, the row and 1, give the column
    that a pixel comes from. The other three give its row.
    """
    batch, height, width, channels = images.shape
    across, down, start = (ops.stack([places[:, i], places[:, 3 + i]])[..., None, None] for i in range(3))
    middles = start + across * 0.5 + down * 0.5
    across, down, start = (ops.cast(ops.floor(v * 65536 + 0.5), "int32") for v in (across, down, middles))
    both = ops.right_shift(start + across * ops.arange(width) + down * ops.arange(height)[:, None], 16)
    columns, rows = both[0], both[1]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    first = ops.reshape(ops.arange(batch) * (height * width), (-1, 1, 1))
    grey = ops.cast(ops.full((1, channels), fill), images.dtype)
    pixels = ops.concatenate([grey, ops.reshape(images, (-1, channels))])
    return ops.take(pixels, ops.cast(inside, "int32") * (1 + first + rows * width + columns), axis=0)


_FACTOR, _DEGREES, _PART = (205, 3891, 4096), (-30 * 128, 30 * 128, 128, True), (-1228, 1228, 4096, True)
# Operations that move pixels come last.
OPERATIONS = {
    "identity": Operation(lambda images, none: images),
    "autocontrast": Operation(_autocontrast),
    "equalize": Operation(_equalize),
    "brightness": Operation(lambda images, factor: _blend(0.0, images, factor), *_FACTOR),
    "color": Operation(lambda images, factor: _blend(_luma(images), images, factor), *_FACTOR),
    "contrast": Operation(lambda images, factor: _blend(_mean(_luma(images)), images, factor), *_FACTOR),
    "sharpness": Operation(lambda images, factor: _blend(_smooth(images), images, factor), *_FACTOR),
    "posterize": Operation(_posterize, 4, 8),
    "solarize": Operation(lambda images, threshold: select(images < threshold, images, 255 - images), 0, 256),
    "rotate": Operation(_rotate, *_DEGREES),
    "shear_x": Operation(lambda part, height, width: _places(part, 1, part, 0, 0, 1, 0), *_PART),
    "shear_y": Operation(lambda part, height, width: _places(part, 1, 0, 0, part, 1, 0), *_PART),
    "translate_x": Operation(lambda part, height, width: _places(part, 1, 0, part * width, 0, 1, 0), *_PART),
    "translate_y": Operation(lambda part, height, width: _places(part, 1, 0, 0, 0, 1, part * height), *_PART),
}
