"""Extra unlabeled images, from small files in the true formats, from broken ones and from hostile ones."""

import itertools
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sesemi.commands.parser import as_typed
from sesemi.datasets import cifar100, extra, files, image_files, tiny_images
from tests.messages import refused

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No test reaches for the network or for what lies beside the loaders or in the home folder."""

    def refuse(*_):
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr(files, "places", lambda folder: (tmp_path / "here" / folder, tmp_path / "beside" / folder))


def load(text, count=None, *, side=32, channels=3, seed=0, resize="crop"):
    return extra.load(text, count, side=side, channels=channels, seed=seed, resize=resize)


def all_of(source):
    chunks = list(source.chunks())
    assert all(0 < len(chunk) <= 1024 for chunk in chunks)
    return np.concatenate(chunks) if chunks else np.empty(source.shape, np.uint8)


def assert_one_clear_line(text, count, *words, **how):
    with refused(f"^--extra-source {re.escape(text or '')}") as error:
        load(text, count, **how)
    message = as_typed(error.value)
    for word in words:
        assert word in message, message


def asymmetric(count, height=32, width=32, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels)).astype(np.uint8)


INDEX = {"maple": (3, 5), "zebra_crossing": (0, 3), "fish": (5, 9), "apple": (12, 14), "aardvark": (9, 12)}


def write_tiny(folder, images=None, index=INDEX, protocol=2, payload=None):
    """Byte for byte, without numpy's transpose: columns of rows of the red, then the green, then the blue."""
    folder.mkdir(parents=True, exist_ok=True)
    images = asymmetric(14) if images is None else images
    with (folder / "tiny_images.bin").open("wb") as file:
        for image in images:
            file.write(bytes(int(image[row, column, c]) for c in range(3) for column in range(32) for row in range(32)))
    (folder / "tiny_index.pkl").write_bytes(pickle.dumps(index, protocol=protocol) if payload is None else payload)
    return images


def test_tiny_images_are_read_from_their_place_in_matlabs_order(tmp_path):
    images = write_tiny(tmp_path)
    source = load(f"tiny-images:{tmp_path}", 14)
    np.testing.assert_array_equal(all_of(source), images)
    np.testing.assert_array_equal(source[np.array([13, 2, 2])], images[[13, 2, 2]])
    np.testing.assert_array_equal(source[4:7], images[4:7])
    assert len(source) == 14
    assert source.shape == (14, 32, 32, 3)
    assert source.dtype == np.uint8
    assert source.nbytes == images.nbytes
    assert sum("June 2020" in note and "2006.16923" in note for note in source.notes) == 1


def test_a_choice_of_tiny_images_is_seeded_sorted_and_within_the_index(tmp_path):
    # The last two images of the file are in no keyword.
    images = write_tiny(tmp_path, asymmetric(16))
    text = f"tiny-images:{tmp_path}"
    place = {image.tobytes(): position for position, image in enumerate(images)}
    seen = set()
    for seed in range(20):
        found = [place[image.tobytes()] for image in all_of(load(text, 6, seed=seed))]
        assert found == sorted(set(found))
        assert found == [place[image.tobytes()] for image in all_of(load(text, 6, seed=seed))]
        seen.add(tuple(found))
    assert len(seen) > 10
    assert set().union(*seen) == set(range(14))


PYTHON_2 = (
    b"(dp0\nS'maple'\np1\n(I3\nI5\ntp2\nsS'fish'\np3\n(L5L\nI9\ntp4\nsS'apple'\n(I12\nI14\ntsS'caf\\xe9'\n(I0\nI3\nts."
)


@pytest.mark.parametrize(
    "payload",
    [
        *(pickle.dumps(INDEX, protocol=protocol) for protocol in range(6)),
        pickle.dumps({name.encode(): list(span) for name, span in INDEX.items()}, protocol=2),
        pickle.dumps({name: tuple(map(np.int64, span)) for name, span in INDEX.items()}, protocol=2),
        PYTHON_2,
    ],
)
def test_237203_means_the_keywords_of_cifar100(tmp_path, payload):
    images = write_tiny(tmp_path, payload=payload)
    for seed in (0, 1):
        source = load(f"tiny-images:{tmp_path}", 237203, seed=seed)
        np.testing.assert_array_equal(all_of(source), images[[3, 4, 5, 6, 7, 8, 12, 13]])
        notes = " ".join(source.notes)
        assert "8 images of CIFAR-100's classes, not 237203" in notes
        assert "no such keyword" in notes
        assert "baby, bear, beaver and 94 more" in notes


def test_237203_is_not_refused_for_a_smaller_copy(tmp_path):
    write_tiny(tmp_path)
    extra.refuse(f"tiny-images:{tmp_path}", 237203)
    with refused("--extra 15 are more than the 14 images"):
        extra.refuse(f"tiny-images:{tmp_path}", 15)


def test_a_whole_index_has_nothing_odd_to_say(tmp_path, monkeypatch):
    names = [{"maple_tree": "maple", "aquarium_fish": "fish"}.get(name, name) for name in cifar100.CLASSES]
    index = {name: (2 * i, 2 * i + 1) for i, name in enumerate(reversed(names))} | {"other": (199, 200)}
    images = write_tiny(tmp_path, asymmetric(200), index)
    monkeypatch.setattr(tiny_images, "CIFAR100_COUNT", 100)
    source = load(f"tiny-images:{tmp_path}", 100)
    np.testing.assert_array_equal(all_of(source), images[:200:2])
    assert len(source.notes) == 2


def test_without_a_flag_a_copy_of_2019_is_taken(tmp_path):
    home = tmp_path / "beside" / "tiny-images"
    images = write_tiny(home)
    for text in (None, "tiny-images"):
        np.testing.assert_array_equal(all_of(load(text, 14)), images)
    first = write_tiny(tmp_path / "here" / "tiny-images", asymmetric(14, seed=1))
    for text in (None, "tiny-images"):
        np.testing.assert_array_equal(all_of(load(text, 14)), first)
    shutil.rmtree(tmp_path / "here")
    (home / "tiny_index.pkl").unlink()
    assert_one_clear_line(None, 3, "tiny-images: ", "tiny_index.pkl")


# Prints kibibytes by which memory grew at most, and the last position. (A process has the ru_maxrss of the one that
# started it.)
MEASURE = """
import sys
from sesemi.datasets import extra
def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = most()
source = extra.load(sys.argv[1], int(sys.argv[2]), side=32, channels=3, seed=1)
for number, chunk in enumerate(source.chunks()):
    if number == 200:
        break
print(most() - before, source.positions[-1])
"""


def measure(text, count):
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, text, str(count)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return map(float, run.stdout.split())


def test_tiny_images_are_not_read_into_memory(tmp_path):
    size = 79_302_017
    (tmp_path / "tiny_images.bin").touch()
    os.truncate(tmp_path / "tiny_images.bin", size * 3072)
    with (tmp_path / "tiny_images.bin").open("r+b") as file:
        file.seek((size - 1) * 3072)
        file.write(bytes(range(256)) * 12)
    (tmp_path / "tiny_index.pkl").write_bytes(pickle.dumps({"apple": (0, 5), "zebra": (5, size)}))
    kibibytes, position = measure(f"tiny-images:{tmp_path}", 3)
    assert kibibytes < 50 * 1024
    # Beyond 2 GiB and 4 GiB, where an offset of 32 bits would fail.
    assert position > 2**32 // 3072
    kibibytes, _ = measure(f"tiny-images:{tmp_path}", 1_000_000)
    assert kibibytes < 100 * 1024
    images = tiny_images.TinyImages(tmp_path, "flag")
    np.testing.assert_array_equal(images[np.array([size - 1])][0, :4, 3, 0], [96, 97, 98, 99])


class Attack:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (pickle.dumps(Attack()), ["tiny_index.pkl", "not a readable data file", "refused"]),
        (pickle.dumps({"apple": Attack()}), ["tiny_index.pkl", "refused"]),
        (pickle.dumps({"apple": (0, Attack())}, protocol=0), ["refused"]),
        (b"", ["not a readable data file"]),
        (pickle.dumps(INDEX)[:-9], ["not a readable data file"]),
        (pickle.dumps([1, 2]), ["a dictionary is needed"]),
        (pickle.dumps({}), ["no image"]),
        (pickle.dumps({"apple": (0, 0)}), ["no image"]),
        *(
            (pickle.dumps({"apple": (0, 3), "odd\nname": span}), ["(start, end) is needed", "odd name"])
            for span in ((0,), (0, 1, 2), (3, 2), (-1, 2), (0.0, 1.0), ("0", "1"), "01", None, 5, np.arange(2))
        ),
        (pickle.dumps({"apple": (0, 15)}), ["14 images, but its index says 15"]),
        (pickle.dumps({"apple": (0, 2**80)}), ["14 images, but its index says"]),
    ],
)
def test_a_bad_index_is_refused_and_runs_nothing(tmp_path, monkeypatch, payload, words):
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "data", payload=payload)
    assert_one_clear_line("tiny-images:data", 3, *words)
    assert not (tmp_path / "hacked").exists()


def test_a_bad_tiny_images_file_is_refused(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    text, path = f"tiny-images:{tmp_path}", tmp_path / "tiny_images.bin"
    source = load(text, 14)
    os.truncate(path, 13 * 3072 + 5)
    assert_one_clear_line(text, 3, "39941 bytes are no multiple of 3072")
    with pytest.raises(ValueError, match="ends before image 13"):
        all_of(source)
    os.truncate(path, 13 * 3072)
    assert_one_clear_line(text, 3, "13 images, but its index says 14")
    path.unlink()
    assert_one_clear_line(text, 3, "tiny_images.bin", "put it there")
    write_tiny(tmp_path, index={"zebra": (0, 14)})
    assert_one_clear_line(text, 237203, "no keyword of tiny_index.pkl is a class of CIFAR-100")
    assert_one_clear_line(text, None, "--extra N")
    monkeypatch.setattr(tiny_images, "_LARGEST_INDEX_MIB", 0)
    assert_one_clear_line(text, 3, "more than the 0 MiB that are read")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Of the name, version and features of TFDS's own, with two thousand images in several files."""
    import tensorflow_datasets as tfds

    class ImagenetResized(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "imagenet_resized"
        VERSION = tfds.core.Version("0.1.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="32x32", version="0.1.0")]
        code_path = None

        def _info(self):
            image, label = tfds.features.Image(shape=(32, 32, 3)), tfds.features.ClassLabel(num_classes=1000)
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict({"image": image, "label": label})
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(2000), "validation": self._generate_examples(3)}

        def _generate_examples(self, count):
            for number, image in enumerate(asymmetric(count, seed=count)):
                yield number, {"image": image, "label": number % 1000}

    folder = tmp_path_factory.mktemp("tfds")
    ImagenetResized(data_dir=folder).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3, try_download_gcs=False)
    )
    return folder


def test_imagenet32_is_read_in_order_without_labels(imagenet):
    import tensorflow_datasets as tfds

    text = f"imagenet32:{imagenet}"
    whole = load(text)
    images = all_of(whole)
    assert whole.shape == images.shape == (2000, 32, 32, 3)
    assert {image.tobytes() for image in images} == {image.tobytes() for image in asymmetric(2000, seed=2000)}
    np.testing.assert_array_equal(all_of(whole), images)
    # The order of its files, whatever TFDS interleaves.
    builder = tfds.builder("imagenet_resized/32x32", data_dir=imagenet)
    counts = np.cumsum([0, *builder.info.splits["train"].shard_lengths])
    assert len(counts) == 4
    for i, (first, last) in enumerate(itertools.pairwise(counts)):
        shard = tfds.as_numpy(builder.as_dataset(split=f"train[{i}shard]", shuffle_files=False))
        np.testing.assert_array_equal(images[first:last], [example["image"] for example in shard])
    some = load(text, 50, seed=4)
    np.testing.assert_array_equal(all_of(some), images[some.positions])
    np.testing.assert_array_equal(some[np.array([49, 0, 7])], images[some.positions[[49, 0, 7]]])
    assert (np.diff(some.positions) > 0).all()
    assert (load(text, 50, seed=5).positions != some.positions).any()
    dropped = np.arange(50) % 3 == 0
    np.testing.assert_array_equal(all_of(some.without(dropped)), images[some.positions[~dropped]])
    np.testing.assert_array_equal(all_of(some.keep(np.array([49]))), images[some.positions[49:]])
    assert not list(some.without(np.ones(50, bool)).chunks())


def test_imagenet32_that_cannot_be_had_says_what_to_do(tmp_path, imagenet):
    assert_one_clear_line(f"imagenet32:{tmp_path / 'no'}", 3, "no folder", "npy:FILE")
    words = ["no network here", "imagenet_resized/32x32", str(tmp_path), "copy the folder", "npy:FILE"]
    assert_one_clear_line(f"imagenet32:{tmp_path}", 3, *words)
    assert_one_clear_line(f"imagenet32:{imagenet}", 2001, "--extra 2001", "2000 images")


def test_without_a_flag_and_a_copy_of_2019_it_is_imagenet32(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setitem(extra._OPEN, "imagenet32", lambda *arguments: seen.append(arguments) or (asymmetric(9), ()))
    assert len(load(None, 4)) == 4
    assert seen[0][:2] == (None, "imagenet32")


def test_a_damaged_imagenet32_is_named(imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path / "copy")
    text = f"imagenet32:{tmp_path / 'copy'}"
    path = sorted((tmp_path / "copy").rglob("*train.tfrecord-00001*"))[0]
    whole = path.read_bytes()
    for damaged, words in (
        (whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2), "ends within an example|examples, not 2000"),
        (whole[:-3], f"{path.name}: it ends within an example"),
        (b"", "examples, not 2000"),
    ):
        path.write_bytes(damaged)
        with refused(rf"^--extra-source imagenet32.*cannot be read.*({words})") as error:
            load(text)
        assert "\n" not in str(error.value)
    # The third picture alone: its file is whole.
    starts = [place for place in range(len(whole)) if whole.startswith(b"\x89PNG", place)]
    path.write_bytes(whole[: starts[2]] + bytes(8) + whole[starts[2] + 8 :])
    with pytest.raises(OSError, match=rf"{path.name}, byte \d+: neither .*; prepare the set again"):
        all_of(load(text))


def write_pictures(folder):
    images = asymmetric(6, 32, 32)
    (folder / "deep").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / ("deep" if number % 2 else ".") / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "text.txt").write_text("x")
    return images


def test_a_folder_leaves_broken_pictures_out_and_names_them(tmp_path):
    images = write_pictures(tmp_path / "here")
    source = load(f"folder:{tmp_path / 'here'}")
    # Files and folders by name: 0, 2, 4, (bad), then deep/1, deep/3, deep/5.
    np.testing.assert_array_equal(all_of(source), images[[0, 2, 4, 1, 3, 5]])
    assert "1 broken" in source.notes[-1]
    assert "bad.png (neither" in source.notes[-1]
    half = load(f"folder:{tmp_path / 'here'}", 3, seed=2)
    np.testing.assert_array_equal(all_of(half), all_of(source)[half.positions])
    small = load(f"folder:{tmp_path / 'here'}", side=8, channels=1)
    expected = np.asarray(Image.fromarray(image_files.resized(images[2:3], 8)[0]).convert("L"))
    np.testing.assert_array_equal(small[1:2], expected[None, ..., None])
    assert_one_clear_line(f"folder:{tmp_path / 'here'}", 7, "--extra 7", "6 images")


def test_a_folder_without_a_picture_is_refused(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert_one_clear_line(f"folder:{tmp_path}", None, "no picture", "1 are broken", ".png")
    assert_one_clear_line(f"folder:{tmp_path / 'none'}", None, "no folder")


@pytest.mark.parametrize("shape", [(7, 8, 8), (7, 8, 8, 1), (7, 8, 8, 3), (7, 8, 8, 4), (7, 9, 5, 3), (7, 9, 5)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_of_every_shape_fit(tmp_path, shape, order, channels):
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.save(tmp_path / "x.npy", np.asarray(images, order=order))
    found = all_of(load(f"npy:{tmp_path / 'x.npy'}", side=8, channels=channels))
    expected = image_files.resized(images, 8)
    if channels == 1:
        red, green, blue = np.moveaxis(expected.astype(float), -1, 0)
        expected = (0.299 * red + 0.587 * green + 0.114 * blue)[..., None]
        np.testing.assert_allclose(found, expected, atol=0.51)
    else:
        np.testing.assert_array_equal(found, expected)
    if shape[1:3] == (8, 8) and (shape[3:] or (1,)) == (channels,):
        np.testing.assert_array_equal(found, images.reshape(found.shape))


def test_an_array_is_padded_or_cropped(tmp_path):
    np.save(tmp_path / "x.npy", np.full((1, 8, 4), 200, np.uint8))
    text = f"npy:{tmp_path / 'x.npy'}"
    np.testing.assert_array_equal(all_of(load(text, side=8)), 200)
    padded = all_of(load(text, side=8, resize="pad"))
    np.testing.assert_array_equal(padded[0, :, [0, 1, 6, 7]], 0)
    np.testing.assert_array_equal(padded[0, :, 2:6], 200)


def test_many_large_arrays_come_in_small_pieces(tmp_path, monkeypatch):
    images = asymmetric(3000, 4, 4)
    np.save(tmp_path / "x.npy", images)
    source = load(f"npy:{tmp_path / 'x.npy'}", side=4)
    assert [len(chunk) for chunk in source.chunks()] == [1024, 1024, 952]
    monkeypatch.setattr(image_files, "_CHUNK_BYTES", 48 * 1000 + 1)
    assert [len(chunk) for chunk in source.chunks()] == [1000] * 3
    monkeypatch.setattr(image_files, "_CHUNK_BYTES", 1)
    assert len(next(source.chunks())) == 1
    np.testing.assert_array_equal(source[:5], images[:5])


def test_a_large_array_does_not_stay_in_memory(tmp_path):
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(400_000, 32, 32, 3))
    kibibytes, position = measure(f"npy:{path}", 400_000)
    assert position == 399_999
    assert kibibytes < 100 * 1024


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((2, 4, 4, 3)), ["float64 [2, 4, 4, 3]"]),
        (np.zeros((2, 4, 4, 2), np.uint8), ["uint8 [2, 4, 4, 2]"]),
        (np.zeros((4, 4), np.uint8), ["uint8 [4, 4]"]),
        (np.zeros((1, 2, 4, 4, 3), np.uint8), ["uint8 [1, 2, 4, 4, 3]"]),
        (np.zeros((0, 4, 4, 3), np.uint8), ["0"]),
        (np.zeros((2, 0, 4), np.uint8), ["0"]),
        (np.uint8(3), ["uint8 []"]),
        (np.array([Attack()]), ["not a file of numpy.save", "Python objects"]),
        (b"", ["not a file of numpy.save"]),
        (b"\x93NUMPY\x01\x00", ["not a file of numpy.save"]),
        (b"PK\x03\x04 zip", ["not a file of numpy.save"]),
        (pickle.dumps(Attack()), ["not a file of numpy.save"]),
    ],
)
def test_other_arrays_are_refused(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        Path("x.npy").write_bytes(content)
    else:
        np.save("x.npy", content)
    assert_one_clear_line("npy:x.npy", None, *words, "uint8 [N, H, W, C] or [N, H, W]")
    assert not Path("hacked").exists()


def test_a_truncated_array_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, asymmetric(9))
    os.truncate(path, 9000)
    assert_one_clear_line(f"npy:{path}", None, "not a file of numpy.save")
    assert_one_clear_line(f"npy:{tmp_path}", None, "no file")
    assert_one_clear_line(f"npy:{tmp_path / 'none'}", None, "no file")


def test_counts_and_forms(tmp_path):
    np.save(tmp_path / "x.npy", asymmetric(9))
    text = f"npy:{tmp_path / 'x.npy'}"
    assert len(load(text)) == len(load(text, 9)) == 9
    assert load(text, 4).notes == (f"extra images: 4 of 9 of {text}",)
    for count in (0, -3):
        assert_one_clear_line(text, count, f"got {count}")
    assert_one_clear_line(text, 10, "--extra 10", "9 images")
    assert_one_clear_line(text, 3, "has 4", channels=4)
    for wrong in ("", "cinic", "npy", "folder", "npy:", "tiny-images:", "imagenet32:", "Folder:x", "/some/where"):
        assert_one_clear_line(wrong, 3, "tiny-images[:DIR], imagenet32[:DIR], folder:DIR or npy:FILE")


def test_a_place_may_hold_a_colon_or_start_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a:b.npy", asymmetric(2))
    assert len(load("npy:~/a:b.npy")) == 2


def test_images_that_are_in_the_test_are_found_and_left_out(tmp_path):
    images = asymmetric(1500, 4, 4)
    images[[3, 1200]] = images[7]
    np.save(tmp_path / "x.npy", images)
    source = load(f"npy:{tmp_path / 'x.npy'}", side=4)
    marks, same = extra.digests_and_duplicates(source, image_files.digests(images[[7, 1499]]))
    np.testing.assert_array_equal(marks, image_files.digests(images))
    assert same.dtype == bool
    np.testing.assert_array_equal(np.flatnonzero(same), [3, 7, 1200, 1499])
    assert not extra.digests_and_duplicates(source, image_files.digests([]))[1].any()
    rest = source.without(same)
    assert len(rest) == rest.shape[0] == 1496
    np.testing.assert_array_equal(all_of(rest), images[~same])
    np.testing.assert_array_equal(rest[2:5], images[[2, 4, 5]])
    assert len(source) == 1500
    np.testing.assert_array_equal(all_of(source.keep(np.array([9, 2]))), images[[2, 9]])
    assert all_of(source.keep(np.array([], np.int64))).shape == (0, 4, 4, 3)
    assert rest.notes == source.notes
    rest[np.array([0])][:] = 0
    np.testing.assert_array_equal(rest[:1], images[:1])
