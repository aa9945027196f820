"""Pixels of any depth and transparency as 8-bit RGB."""

import struct

import numpy as np
import pytest
from PIL import Image

from sesemi.datasets import decoding, levels
from tests.datasets.test_decoding import chunk, encoded, png

RAMP = np.arange(16, dtype=np.uint8).reshape(4, 4)


def decoded(data):
    """Return the picture and what was said of it."""
    said = []
    return decoding.decode(data, 4, remark=said.append)[..., 0], said


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_sixteen_bits_of_which_fewer_are_in_use_are_not_black(bits):
    grey = (RAMP.astype(np.uint16) * 17) << (bits - 8)
    grey[0, 1] |= 1
    found, said = decoded(encoded(grey, "PNG"))
    np.testing.assert_array_equal(found, RAMP * 17)
    assert said == [f"16 bits of which {bits} are in use, taken as {bits} bits"]
    np.testing.assert_array_equal(decoded(encoded(grey, "TIFF"))[0], found)


def test_sixteen_bits_in_use_and_black_stay():
    found, said = decoded(encoded(RAMP.astype(np.uint16) * 4369, "PNG"))
    np.testing.assert_array_equal(found, RAMP * 17)
    assert said == []
    found, said = decoded(encoded(np.zeros((4, 4), np.uint16), "PNG"))
    assert not found.any()
    assert said == []


def test_floats_and_32_bits_of_a_tiff():
    found, said = decoded(encoded(Image.fromarray(RAMP.astype(np.float32) / 15), "TIFF"))
    np.testing.assert_array_equal(found, RAMP * 17)
    assert said == ["floats from 0 to 1, scaled to 255"]
    floats = RAMP.astype(np.float32) * 17
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(floats), "TIFF"))[0], RAMP * 17)
    floats[0, 0] = np.nan
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(floats), "TIFF"))[0], RAMP * 17)
    found, said = decoded(encoded(Image.fromarray(RAMP.astype(np.int32) << 20), "TIFF"))
    np.testing.assert_array_equal(found, RAMP * 16)
    assert said == ["32 bits, of which the upper 8 in use are taken"]


def bmp(image):
    """Return a BMP with a mask of alpha, which Pillow reads and does not write."""
    height, width, _ = image.shape
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    facts = struct.pack("<IiiHHIIiiII4I", 108, width, height, 1, 32, 3, 0, 0, 0, 0, 0, *masks) + bytes(52)
    pixels = image[::-1, :, [2, 1, 0, 3]].tobytes()
    return b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + facts + pixels


@pytest.mark.parametrize("kind", ["BMP", "PNG", "WEBP"])
def test_an_alpha_that_is_zero_everywhere_hides_nothing(rng, kind):
    image = rng.integers(0, 256, (4, 4, 4)).astype(np.uint8)
    image[..., 3] = 0
    how = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    said = []
    write = bmp if kind == "BMP" else lambda image: encoded(image, kind, **how)
    found = decoding.decode(write(image), 4, remark=said.append)
    np.testing.assert_array_equal(found, image[..., :3])
    assert said == ["transparent everywhere, taken as opaque"]
    image[0, 0, 3] = 255
    assert (decoding.decode(write(image), 4)[1:] == 255).all()


@pytest.mark.parametrize(
    ("depth", "rows", "clear"),
    [
        (1, [b"\x50"] * 4, 1),
        (2, [b"\x1b"] * 4, 2),
        (4, [b"\x01\xfe"] * 4, 15),
        (8, [b"\0\x20\x30\x40"] * 4, 0x30),
        (16, [b"\x10\0\x20\0\x30\0\xf0\0"] * 4, 0x3000),
    ],
)
def test_the_transparent_grey_of_a_png_is_white_in_every_depth(depth, rows, clear):
    """In the specification it is a number of the file's own depth."""
    plain, _ = decoded(png(4, 4, depth, 0, rows))
    found, _ = decoded(png(4, 4, depth, 0, rows, chunk(b"tRNS", clear.to_bytes(2, "big"))))
    stored = clear >> 8 if depth == 16 else clear * 255 // (2**depth - 1)
    np.testing.assert_array_equal(found, np.where(plain == stored, 255, plain))
    assert stored in plain
    assert len(np.unique(plain)) > 1


def test_the_transparent_colour_of_a_png_of_48_bits_is_white():
    colors = np.array([[0x1234, 0x5678, 0x9ABC], [0, 0, 0]], ">u2")
    data = png(2, 2, 16, 2, [colors.tobytes()] * 2, chunk(b"tRNS", colors[0].tobytes()))
    found = decoding.decode(data, 2)
    assert (found[:, 0] == 255).all()
    assert (found[:, 1] == 0).all()


def test_strips_give_what_the_whole_gives(rng):
    alpha = rng.integers(0, 256, (31, 20, 4)).astype(np.uint8)
    deep = rng.integers(0, 4096, (31, 20)).astype(np.uint16)
    palette = Image.fromarray(alpha[..., :3]).quantize(8)
    palette.info["transparency"] = 3
    for image in (Image.fromarray(alpha), Image.fromarray(deep), palette, palette.convert("RGB").convert("CMYK")):
        whole = np.asarray(levels.rgb(image, print))
        np.testing.assert_array_equal(np.asarray(levels.rgb(image, print, rows=7)), whole)
        smaller = levels.rgb(image, print, rows=7, smaller=3)
        np.testing.assert_array_equal(np.asarray(smaller), np.asarray(Image.fromarray(whole).reduce(3)))
