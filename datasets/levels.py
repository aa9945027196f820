"""Pixels of any kind as 8-bit RGB: depth, transparency and palettes, a strip of a picture at a time."""

from collections.abc import Callable, Iterator

import numpy as np

# Depths that cameras and scanners give in files of 16 bits.
_DEPTHS = (8, 10, 12)
_WHITE = (255, 255, 255, 255)


def bytes_per_pixel(mode: str) -> int:
    """Return the memory that Pillow takes for a pixel of one of its modes, in bytes."""
    return {"1": 1, "L": 1, "P": 1}.get(mode, 2 if mode.startswith("I;16") else 4)


def rgb(image, remark: Callable[[str], object], *, raw: object = "", smaller: int = 1, rows: int = 2**20):
    """Return a decoded image of Pillow as RGB.

    Args:
        image: Image of any mode.
        remark: Function that is called with what its file does not say: how many bits of 16 are in use, or that it
            would be transparent everywhere.
        raw: Pillow's name of the pixels' form in the file, such as ``L;4``.
        smaller: Number of pixels that become one, along either side.
        rows: Number of rows to convert at a time; the result does not depend on it.

    Returns:
        Image of mode RGB; its sides are those of `image` divided by `smaller`, rounded up.
    """
    from PIL import Image

    convert = _converter(image, remark, raw, rows)
    if smaller == 1 and image.height <= rows:
        return convert(image)
    if smaller == 1 and image.mode == "RGB" and not image.has_transparency_data:
        return image
    found = Image.new("RGB", (-(-image.width // smaller), -(-image.height // smaller)))
    for top, strip in _strips(image, -(-rows // smaller) * smaller):
        part = convert(strip)
        found.paste(part.reduce(smaller) if smaller > 1 else part, (0, top // smaller))
    return found


def _strips(image, rows: int) -> Iterator[tuple]:
    """Yield the first row of each strip, and the strip."""
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _converter(image, remark: Callable[[str], object], raw: object, rows: int) -> Callable:
    """Return a function from a strip of the image to the same strip in RGB."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _of_deep_grey(image, remark, rows)
    if not image.has_transparency_data:
        return lambda strip: strip if strip.mode == "RGB" else strip.convert("RGB")
    _scale_transparent_color(image, raw)
    if not any(_alpha(strip).getextrema()[1] for _, strip in _strips(image, rows)):
        remark("transparent everywhere, taken as opaque")
        return lambda strip: _opaque(strip).convert("RGB")
    return _on_white


def _alpha(strip):
    return strip.convert("RGBA").getchannel("A")


def _opaque(strip):
    """Return a strip without its transparency."""
    strip = strip.copy()
    strip.info.pop("transparency", None)
    return strip


def _on_white(strip):
    from PIL import Image

    strip = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, _WHITE), strip).convert("RGB")


def _scale_transparent_color(image, raw: object) -> None:
    """Bring the transparent colour of a PNG, which counts in the file's own depth, to the 8 bits of its pixels."""
    color = image.info.get("transparency")
    if isinstance(color, tuple) and raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in color)
    elif isinstance(color, int) and raw in ("L;2", "L;4"):
        image.info["transparency"] = color * (85 if raw == "L;2" else 17)


def _of_deep_grey(image, remark: Callable[[str], object], rows: int) -> Callable:
    """Return a function from a strip of 16 or 32 bits or of floats to RGB; all strips are scaled alike."""
    from PIL import Image

    high = max(float(np.nanmax(_finite(strip), initial=0)) for _, strip in _strips(image, rows))
    scale = _scale(image.mode, high, remark)
    clear = image.info.get("transparency")

    def convert(strip):
        grey = _finite(strip)
        eight = scale(grey)
        if isinstance(clear, int):
            eight[grey == clear] = 255
        return Image.fromarray(eight).convert("RGB")

    return convert


def _finite(strip) -> np.ndarray:
    grey = np.asarray(strip)
    return np.nan_to_num(grey, nan=0, posinf=0, neginf=0) if grey.dtype.kind == "f" else grey


def _scale(mode: str, high: float, remark: Callable[[str], object]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function to uint8.

    Args:
        mode: Pillow's mode, ``F`` or one of those that begin with ``I``.
        high: Largest value of the whole picture.
        remark: See `rgb`.
    """
    if mode == "F":
        factor = 255 if high <= 1 else 1 if high <= 255 else 255 / high
        if factor != 1:
            remark(f"floats from 0 to {'1' if high <= 1 else 'more than 255'}, scaled to 255")
        return lambda grey: (grey.clip(0) * factor).round().astype(np.uint8)
    used = max(int(high).bit_length(), 1)
    bits = next((depth for depth in _DEPTHS if used <= depth), max(used, 16))
    # A picture that is black has no depth.
    if bits < 16 and high:
        remark(f"16 bits of which {bits} are in use, taken as {bits} bits")
    elif bits > 16:
        remark("32 bits, of which the upper 8 in use are taken")
    return lambda grey: (grey.clip(0) >> (bits - 8)).astype(np.uint8)
