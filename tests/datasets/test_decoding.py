"""One picture within a bound of memory, whatever its file claims; and nothing lost by rounding or by metadata."""

import importlib.util
import io
import struct
import sys
import threading
import types
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sesemi.datasets import decoding, image_files, memory_bound, picture_formats

SIDE = 12


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, rows, before=b""):
    """Return a PNG of these packed rows; `before` are chunks in front of the pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def encoded(image, kind, **how):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **how)
    return buffer.getvalue()


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 64), (64, 1), (3, 500)])
def test_a_very_long_picture_keeps_a_line_when_it_is_padded(shape):
    bright = np.full((*shape, 3), 200, np.uint8)
    found = image_files.decode(encoded(bright, "PNG"), SIDE, "pad")
    lit = (found == 200).all(axis=-1)
    assert lit.sum() == SIDE
    assert lit[SIDE // 2].all() or lit[:, SIDE // 2].all()
    np.testing.assert_array_equal(image_files.resized(bright[None], SIDE, "pad")[0], found)


def header(kind, width, height):
    """Return the beginning of a small file that claims to be large."""
    if kind == "PNG":
        return png(width, height, 8, 2, [b""])
    if kind == "GIF":
        size = struct.pack("<HH", width, height)
        start = b"GIF89a" + size + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + b"\x2c\0\0\0\0" + size
        return start + b"\0\2\2\x4c\1\0\x3b"
    facts = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + facts


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("kind", "width"), [("PNG", 13_300), ("BMP", 13_300), ("GIF", 65_535)])
def test_what_takes_too_much_memory_is_refused_before_it_is_decoded(kind, width):
    with pytest.raises(picture_formats.TooLargeError, match=r"more than 384 MiB|more pixels than") as error:
        decoding.decode(header(kind, width, width), SIDE)
    assert isinstance(error.value, image_files.BrokenImageError)


@pytest.mark.parametrize("start", [b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x18ftypheic\0\0\0\0"])
def test_a_huge_file_of_a_format_that_is_read_whole_is_refused(tmp_path, start):
    with (tmp_path / "x.webp").open("wb") as file:
        file.write(start)
        file.truncate(2**36)
    with pytest.raises(picture_formats.TooLargeError, match=r"its file has 65,536 MiB, and .* at most 64 are read"):
        decoding.decode(tmp_path / "x.webp", SIDE)


def test_a_line_of_a_compressed_bmp_that_may_be_skipped_255_times_is_counted():
    """In Pillow 11 its decoder makes as many zeros as the file says: 8 GB of 66 bytes."""
    width = 2**25
    facts = struct.pack("<IiiHHIIiiII", 40, width, 1, 1, 8, 1, 0, 0, 0, 1, 0)
    data = b"BM" + struct.pack("<IHHI", 66, 0, 0, 58) + facts + bytes(4) + b"\0\2\0\0\0\xff"
    with pytest.raises(picture_formats.TooLargeError, match=r"33554432 x 1 pixels take 16,\d{3} MiB to decode"):
        decoding.decode(data, SIDE)


def test_the_bound_counts_what_the_decoder_of_each_format_holds(monkeypatch):
    monkeypatch.setattr(memory_bound, "memory", memory_bound.Memory(2**20))
    square = Image.new("RGB", (220, 220))
    tall = Image.new("RGB", (300, 300))
    for kind in ("PNG", "TIFF", "BMP", "GIF", "JPEG"):
        assert decoding.decode(encoded(square, kind), 220).shape == (220, 220, 3)
    # 20 bytes a pixel in WebP; a TIFF that is one strip has it twice.
    with pytest.raises(picture_formats.TooLargeError, match=r"220 x 220 pixels take 1 MiB to decode, more than 1 MiB"):
        decoding.decode(encoded(square, "WEBP"), 220)
    decoding.decode(encoded(tall.crop((0, 0, 280, 280)), "TIFF"), 280)
    with pytest.raises(picture_formats.TooLargeError):
        decoding.decode(encoded(tall, "TIFF", strip_size=2**30, compression="tiff_lzw"), 300)


def test_a_jpeg_of_any_size_is_decoded_at_an_eighth(monkeypatch):
    data = encoded(Image.new("RGB", (2000, 1600), (200, 10, 10)), "JPEG")
    # As if it were one of 180 megapixels, which Pillow does not open.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(memory_bound, "memory", memory_bound.Memory(2**20))
    np.testing.assert_allclose(decoding.decode(data, SIDE)[6, 6], [200, 10, 10], atol=3)
    with pytest.raises(picture_formats.TooLargeError, match="more pixels than the 2,000 that are decoded"):
        decoding.decode(encoded(Image.new("1", (2000, 1600)), "PNG"), SIDE)


def test_a_jpeg_in_several_scans_needs_all_its_coefficients(monkeypatch):
    monkeypatch.setattr(memory_bound, "_FROM", 1000)
    needed = []
    monkeypatch.setattr(memory_bound.Memory, "held", lambda self, many, size: needed.append(many) or threading.Lock())
    for how in ({}, {"progressive": True}, {"progressive": True, "subsampling": 0}):
        decoding.decode(encoded(Image.new("RGB", (800, 800)), "JPEG", **how), SIDE)
    assert np.diff([needed[0], needed[1]]) == 800 * 800 * 3
    assert np.diff([needed[0], needed[2]]) == 800 * 800 * 6


def test_memory_is_shared_by_threads_and_given_back():
    memory, order = memory_bound.Memory(100), []

    def second():
        with memory.held(60, (1, 1)):
            order.append("second")

    with memory.held(60, (1, 1)):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    with memory.held(100, (1, 1)):
        pass


def test_a_large_picture_is_made_smaller_first(monkeypatch):
    ramps = np.add.outer(np.arange(203), np.arange(321))[..., None] * np.array([1, 0.7, 0.4]) / 3
    smooth = Image.fromarray(ramps.astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(smooth, "PNG", exif=exif.tobytes())
    whole = decoding.decode(data, SIDE).astype(int)
    monkeypatch.setattr(decoding, "_LARGE", 1000)
    monkeypatch.setattr(decoding, "_STRIP", 1000)
    assert np.abs(decoding.decode(data, SIDE) - whole).max() < 5


def test_no_kind_of_metadata_costs_a_png(picture):
    info = PngImagePlugin.PngInfo()
    info.add_text("small", "x")
    info.add_text("big", "x" * 2_000_000, zip=True)
    said = []
    np.testing.assert_array_equal(
        decoding.decode(encoded(picture, "PNG", pnginfo=info), SIDE, remark=said.append), picture
    )
    assert said == ["damaged or huge metadata, not read"]
    whole = encoded(picture, "PNG", icc_profile=b"x" * 100)
    np.testing.assert_array_equal(decoding.decode(whole.replace(b"iCCP", b"iCCQ"), SIDE), picture)
    with pytest.raises(image_files.BrokenImageError):
        decoding.decode(whole[:-60].replace(b"iCCP", b"iCCQ"), SIDE)


def test_tiff_is_read_and_turned(picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(decoding.decode(encoded(picture, "TIFF"), SIDE), picture)
    turned = decoding.decode(encoded(picture, "TIFF", exif=exif), SIDE)
    np.testing.assert_array_equal(turned, np.rot90(picture, -1))


def test_a_damaged_tiff_says_nothing_by_itself(picture, capfd):
    whole = bytearray(encoded(picture, "TIFF", compression="tiff_lzw"))
    whole[-40:] = bytes(40)
    whole[20:200] = b"\xff" * 180
    for damaged in (bytes(whole), encoded(picture, "TIFF", compression="jpeg").replace(b"\xff\xda", b"\xff\x42")):
        with pytest.raises(image_files.BrokenImageError):
            decoding.decode(damaged, SIDE)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def fresh_formats():
    picture_formats.formats.cache_clear()
    yield
    picture_formats.formats.cache_clear()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"


def test_heic_without_its_package_says_what_to_do(monkeypatch, fresh_formats, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "a.jpg").write_bytes(HEIC)
    for file in (HEIC, tmp_path / "a.jpg"):
        with pytest.raises(image_files.BrokenImageError, match="nor TIFF; HEIC is read after: pip install pillow-heif"):
            decoding.decode(file, SIDE)


def test_heic_with_its_package_is_opened_by_it(monkeypatch, fresh_formats):
    asked = []
    package = types.SimpleNamespace(register_heif_opener=lambda **how: asked.append(how))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    assert picture_formats.formats()[-1] == "HEIF"
    assert len(asked) == 1


def test_an_orientation_that_cannot_be_read_is_said_and_a_full_memory_is_not_taken_for_one(tmp_path, monkeypatch):
    path, said = tmp_path / "a.png", []
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)

    def fails(error):
        def getexif(self):
            raise error

        monkeypatch.setattr(Image.Image, "getexif", getexif)

    wanted = decoding.decode(path, 8)
    fails(struct.error("unpack requires a buffer of 2 bytes"))
    np.testing.assert_array_equal(decoding.decode(path, 8, remark=said.append), wanted)
    assert said == ["damaged EXIF, so an orientation noted there is not followed"]
    fails(MemoryError())
    with pytest.raises(MemoryError, match="not enough memory to decode it"):
        decoding.decode(path, 8)
