import errno
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from sesemi.datasets import image_files, lazy_images, walk

SIDE = 12


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def encoded(image, kind, **how):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **how)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "how"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_a_picture_of_that_size_keeps_its_pixels(picture, kind, how):
    np.testing.assert_array_equal(image_files.decode(encoded(picture, kind, **how), SIDE), picture)


def test_jpeg_and_gif(picture):
    smooth = np.broadcast_to(np.arange(SIDE, dtype=np.uint8)[:, None, None] * 10, picture.shape)
    found = image_files.decode(encoded(smooth, "JPEG", quality=95), SIDE)
    assert np.abs(found.astype(int) - smooth).max() <= 4
    red = np.zeros_like(picture)
    red[..., 0] = 200
    frames = [Image.fromarray(red), Image.fromarray(picture)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(image_files.decode(moving, SIDE), red)


def test_every_kind_of_pixel_becomes_rgb(picture):
    grey = picture[..., 0]
    np.testing.assert_array_equal(image_files.decode(encoded(grey, "PNG"), SIDE), np.stack([grey] * 3, -1))
    sixteen = grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(image_files.decode(encoded(sixteen, "PNG"), SIDE), np.stack([grey] * 3, -1))
    palette = Image.fromarray(picture).quantize(16)
    np.testing.assert_array_equal(image_files.decode(encoded(palette, "PNG"), SIDE), np.asarray(palette.convert("RGB")))
    cmyk = Image.new("CMYK", (SIDE, SIDE), (0, 0, 0, 255))
    assert image_files.decode(encoded(cmyk, "JPEG"), SIDE).max() <= 2


def test_what_is_transparent_lies_on_white(picture):
    alpha = np.full((SIDE, SIDE, 1), 255, np.uint8)
    alpha[:3] = 0
    found = image_files.decode(encoded(np.concatenate([picture, alpha], -1), "PNG"), SIDE)
    assert (found[:3] == 255).all()
    np.testing.assert_array_equal(found[3:], picture[3:])
    palette = Image.fromarray(picture).quantize(16)
    first = int(np.asarray(palette)[0, 0])
    found = image_files.decode(encoded(palette, "PNG", transparency=first), SIDE)
    assert (found[0, 0] == 255).all()


def test_the_orientation_of_exif_is_applied(picture):
    # 6: the camera was turned by 90 degrees; to be shown, the picture is rotated clockwise.
    exif = Image.Exif()
    exif[0x0112] = 6
    found = image_files.decode(encoded(picture, "PNG", exif=exif.tobytes()), SIDE)
    np.testing.assert_array_equal(found, np.rot90(picture, -1))


def test_a_damaged_exif_costs_no_picture(picture):
    found = image_files.decode(encoded(picture, "PNG", exif=b"garbage, no TIFF"), SIDE)
    np.testing.assert_array_equal(found, picture)


def test_sixteen_bits_need_no_more_than_some_bytes_a_pixel():
    data, most = encoded(np.zeros((3000, 3000), np.uint16), "PNG"), 0
    tracemalloc.start()
    assert not image_files.decode(data, SIDE).any()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 6 * 3000 * 3000


@pytest.mark.parametrize(
    ("error", "kind"), [(OSError(errno.EMFILE, "Too many"), OSError), (MemoryError(), MemoryError)]
)
def test_what_the_machine_fails_at_is_no_fault_of_a_picture(tmp_path, monkeypatch, picture, error, kind):
    (tmp_path / "x.png").write_bytes(encoded(picture, "PNG"))

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", fails)
    with pytest.raises(kind) as caught:
        image_files.read_all([tmp_path / "x.png"], SIDE, keep=True)
    assert "x.png" in str(caught.value)
    assert not isinstance(caught.value, image_files.BrokenImageError)


def test_large_pictures_are_read_a_few_at_a_time():
    assert image_files.chunk_rows(32, 32, 3) == 1024
    assert image_files.chunk_rows(1024, 1024, 3) == 21
    assert image_files.chunk_rows(8192, 8192, 3) == 1


def test_crop_and_pad(picture):
    wide = np.concatenate([np.zeros_like(picture), picture, np.full_like(picture, 255)], axis=1)
    np.testing.assert_array_equal(image_files.decode(encoded(wide, "PNG"), SIDE), picture)
    padded = image_files.decode(encoded(wide, "PNG"), SIDE, "pad")
    assert padded.shape == (SIDE, SIDE, 3)
    assert (padded[:3] == 0).all()
    assert (padded[6, -2:] > 200).all()
    small = image_files.decode(encoded(np.full((40, 80, 3), 77, np.uint8), "PNG"), SIDE)
    assert (small == 77).all()


def test_arrays_are_resized_as_files_are(picture, rng):
    large = rng.integers(0, 256, (2, 20, 30, 3)).astype(np.uint8)
    found = image_files.resized(large, SIDE)
    for image, same in zip(large, found, strict=True):
        np.testing.assert_array_equal(image_files.decode(encoded(image, "PNG"), SIDE), same)
    assert image_files.resized(large[..., :1], SIDE).shape == (2, SIDE, SIDE, 3)


@pytest.mark.parametrize("cut", [0, 30, 200])
def test_a_broken_file_is_named(picture, tmp_path, cut):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(picture, "PNG")[:cut])
    with pytest.raises(image_files.BrokenImageError) as error:
        image_files.decode(path, SIDE)
    assert "\n" not in str(error.value)
    with pytest.raises(image_files.BrokenImageError, match=r"x\.png"):
        lazy_images.ImageFiles([path], SIDE)[:1]


def test_a_text_and_a_missing_file(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(image_files.BrokenImageError, match="neither JPEG"):
        image_files.decode(tmp_path / "a.png", SIDE)
    with pytest.raises(image_files.BrokenImageError, match="No such file"):
        image_files.decode(tmp_path / "b.png", SIDE)


def test_all_files_of_all_folders_in_order(picture, tmp_path):
    for name in ("b/2.PNG", "b/c/1.png", "a.jpeg", "b/.hidden.png", ".secret/1.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in walk.Walk(tmp_path).pictures()]
    assert found == ["a.jpeg", "b/2.PNG", "b/c/1.png"]


def test_reading_all_gives_whole_pictures_marks_and_faults(picture, tmp_path, rng):
    images = rng.integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)
    images[3] = images[0]
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, image in zip(paths, [*images[:2], images[2], images[3], images[1]], strict=True):
        path.write_bytes(encoded(image, "PNG"))
    paths[2].write_bytes(b"no")
    seen = []
    pixels, marks, broken = image_files.read_all(paths, SIDE, keep=True, progress=seen.append)
    np.testing.assert_array_equal(pixels, images[[0, 1, 3, 1]])
    assert list(broken) == [2]
    assert seen == [5]
    np.testing.assert_array_equal(marks[0], marks[2])
    assert len(np.unique(marks, axis=0)) == 2
    assert pixels.ctypes.data % 64 == 0
    nothing, again, _ = image_files.read_all(paths, SIDE, keep=False)
    assert nothing is None
    np.testing.assert_array_equal(again, marks)
    lazily = lazy_images.ImageFiles(paths, SIDE).only(np.array([3, 0]))
    np.testing.assert_array_equal(lazily[:], images[[3, 0]])
    np.testing.assert_array_equal(image_files.all_digests(lazily), marks[[2, 0]])
