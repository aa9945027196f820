"""Sets of TensorFlow Datasets, prepared here in the true layout by builders that the library then does not know."""

import io
import json
import logging

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from sesemi import datasets
from sesemi.assembly import materials
from sesemi.datasets import decoding, image_files, tfds_sets
from sesemi.errors import InputError
from tests.messages import refused

CLASSES = ["cat", "dog", "emu"]
LIMIT = 2**24


def pixels(seed, side=8, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), np.uint8)


def jpeg(seed, width, height):
    file = io.BytesIO()
    Image.fromarray(pixels(seed, max(width, height))[:height, :width]).save(file, "JPEG")
    return file.getvalue()


def examples(count, seed=0, labels=None, **more):
    labels = [i % 3 for i in range(count)] if labels is None else labels
    return [{"image": pixels(seed + i), "label": label, **more} for i, label in enumerate(labels)]


def prepare(
    folder, name, splits, features=None, keys=("image", "label"), version="1.0.0", config=None, shards=1, **how
):
    """A set with these splits, as the library would write it."""
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=CLASSES)} | (features or {})
    features = {key: feature for key, feature in features.items() if feature is not None}
    set_name = name

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = set_name
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=keys
            )

        def _split_generators(self, dl_manager):
            return {part: self._generate_examples(rows) for part, rows in splits.items()}

        def _generate_examples(self, rows):
            for number, row in enumerate(rows):
                yield number, {key: io.BytesIO(x) if isinstance(x, bytes) else x for key, x in row.items()}

    builder = Made(data_dir=str(folder), **how)
    tfds.disable_progress_bar()
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))
    return builder


def load(name, folder, **arguments):
    return tfds_sets.load(name, folder, **{"side": 8, "limit": LIMIT, **arguments})


def decoded(builder, part):
    """Images and labels as the library itself gives them, in its order."""
    order = tfds.ReadConfig(interleave_cycle_length=1)
    rows = list(tfds.as_numpy(builder.as_dataset(split=part, as_supervised=True, read_config=order)))
    return np.stack([image for image, _ in rows]), np.array([label for _, label in rows])


@pytest.fixture(autouse=True)
def _no_default_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tfds.core.utils.file_utils.constants, "DATA_DIR", str(tmp_path / "default"))


def test_train_and_test_are_the_pixels_that_the_library_decodes(tmp_path):
    builder = prepare(tmp_path, "made", {"train": examples(700), "test": examples(10, 1000)}, shards=3)
    parts = load("made", tmp_path)
    for part, images, labels in (
        ("train", parts.labeled, parts.labels),
        ("test", parts.test, parts.test_labels),
    ):
        expected, expected_labels = decoded(builder, part)
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, expected_labels)
    assert parts.labels.dtype == parts.test_labels.dtype == np.int32
    assert parts.pool.dtype == np.uint8
    assert parts.pool.flags.c_contiguous
    assert parts.pool.ctypes.data % 64 == 0
    assert parts.class_names == tuple(CLASSES)
    assert parts.validation is None
    assert parts.unlabeled.shape == (0, 8, 8, 3)
    assert parts.notes == (f"data: {tmp_path}/made/1.0.0",)


def test_unlabelled_split_and_labels_of_minus_one_are_unlabeled(tmp_path):
    train = examples(8, labels=[0, -1, 1, 2, -1, 0, 1, 2])
    splits = {
        "train": train,
        "test": examples(4, 50, [0, -1, 1, 2]),
        "unlabelled": examples(5, 100, [-1, -1, 1, -1, -1]),
    }
    builder = prepare(tmp_path, "stl10", splits)
    parts = load("stl10", tmp_path)
    images, labels = decoded(builder, "train")
    np.testing.assert_array_equal(parts.labeled, images[labels >= 0])
    np.testing.assert_array_equal(parts.labels, labels[labels >= 0])
    rest, _ = decoded(builder, "unlabelled")
    np.testing.assert_array_equal(parts.unlabeled, np.concatenate([images[labels < 0], rest]))
    assert len(parts.test) == len(parts.test_labels) == 3
    assert parts.test_labels.min() == 0
    assert parts.notes[1:] == ("test: 1 images without a label left out",)
    assert all(np.shares_memory(part, parts.pool) for part in (parts.labeled, parts.unlabeled))


def test_three_splits(tmp_path):
    builder = prepare(tmp_path, "dtd", {"train": examples(6), "validation": examples(4, 50), "test": examples(5, 90)})
    parts = load("dtd", tmp_path)
    np.testing.assert_array_equal(parts.validation, decoded(builder, "validation")[0])
    np.testing.assert_array_equal(parts.validation_labels, decoded(builder, "validation")[1])
    np.testing.assert_array_equal(parts.test, decoded(builder, "test")[0])
    np.testing.assert_array_equal(parts.pool, np.concatenate([parts.labeled, parts.validation]))


def test_validation_becomes_the_test_where_there_is_none(tmp_path):
    builder = prepare(tmp_path, "food101", {"train": examples(6), "validation": examples(4, 50)})
    parts = load("food101", tmp_path)
    np.testing.assert_array_equal(parts.test, decoded(builder, "validation")[0])
    assert parts.validation is None
    assert parts.notes[1:] == ("the split validation is the test: there is no test split",)


def test_a_test_without_labels_is_none(tmp_path):
    prepare(tmp_path, "made", {"train": examples(6), "validation": examples(4, 50), "test": examples(9, 90, [-1] * 9)})
    parts = load("made", tmp_path)
    assert len(parts.test) == 4
    assert parts.notes[1:] == (
        "the split validation is the test: there is no labeled test split",
        "splits not used: test",
    )


def test_the_only_split_is_training(tmp_path):
    prepare(tmp_path, "made", {"all_of_it": examples(6)})
    parts = load("made", tmp_path)
    assert len(parts.labeled) == 6
    assert parts.test is None
    assert parts.test_labels is None


@pytest.mark.parametrize("names", [("one", "two"), ("test",)])
def test_no_split_for_training(tmp_path, names):
    prepare(tmp_path, "made", {name: examples(3) for name in names})
    with pytest.raises(ValueError, match=f"tfds:made: no split for training, it has {', '.join(names)}$"):
        load("made", tmp_path)


def test_other_splits_are_named(tmp_path):
    prepare(tmp_path, "svhn_cropped", {"train": examples(6), "test": examples(3), "extra": examples(4)})
    assert "splits not used: extra" in load("svhn_cropped", tmp_path).notes


def test_pictures_of_other_sizes_are_those_that_files_would_be(tmp_path):
    files = [jpeg(1, 20, 12), jpeg(2, 9, 30), jpeg(3, 8, 8)]
    builder = prepare(tmp_path, "made", {"train": [{"image": file, "label": i} for i, file in enumerate(files)]})
    order = np.array([row["label"] for row in tfds.as_numpy(builder.as_dataset(split="train"))])
    for resize in decoding.RESIZE:
        parts = load("made", tmp_path, side=10, resize=resize)
        np.testing.assert_array_equal(parts.labels, order)
        np.testing.assert_array_equal(parts.labeled, [image_files.decode(files[i], 10, resize) for i in order])


def test_grey_pictures(tmp_path):
    features = {"image": tfds.features.Image(shape=(8, 8, 1))}
    rows = [{"image": pixels(i, channels=1), "label": i % 3} for i in range(5)]
    builder = prepare(tmp_path, "mnist", {"train": rows, "test": rows[:2]}, features)
    np.testing.assert_array_equal(load("mnist", tmp_path).labeled, decoded(builder, "train")[0].repeat(3, -1))


def test_broken_pictures_are_left_out_and_counted(tmp_path):
    rows = examples(9)
    for i in (2, 5):
        rows[i]["image"] = b"no picture"
    whole = jpeg(1, 40, 40)
    rows[7]["image"] = whole[: len(whole) // 2]
    builder = prepare(tmp_path, "made", {"train": rows, "validation": examples(3), "test": examples(3)})
    stored = [
        row["image"]
        for row in tfds.as_numpy(
            builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False)
        )
    ]
    first = next(i for i, file in enumerate(stored) if not file.startswith(b"\x89PNG"))
    parts = load("made", tmp_path)
    assert parts.labeled.shape == (6, 8, 8, 3)
    assert len(parts.pool) == 9
    assert len(parts.labels) == 6
    (note,) = (note for note in parts.notes if "broken pictures" in note)
    assert note.startswith(f"train: 3 broken pictures left out, the first is number {first} (")


def test_the_label_is_that_of_the_supervised_keys(tmp_path):
    features = {"kind": tfds.features.ClassLabel(names=["indoor", "outdoor"]), "mask": tfds.features.Image()}
    rows = examples(6, kind=1, mask=pixels(7))
    prepare(tmp_path, "made", {"train": rows}, features, keys=("image", "kind"))
    assert load("made", tmp_path).class_names == ("indoor", "outdoor")
    prepare(tmp_path, "other", {"train": rows}, features, keys=None)
    assert load("other", tmp_path).class_names == tuple(CLASSES)


def test_no_class_label(tmp_path):
    features = {"label": None, "size": tfds.features.Scalar(np.int64)}
    rows = [{"image": pixels(i), "size": i} for i in range(3)]
    prepare(tmp_path, "made", {"train": rows}, features, keys=None)
    with pytest.raises(ValueError, match=r"an Image and a ClassLabel are needed, it has image \(Image\), size \(Sc"):
        load("made", tmp_path)


def test_images_of_floats_are_none(tmp_path):
    features = {"image": tfds.features.Image(shape=(8, 8, 1), dtype=np.float32)}
    prepare(tmp_path, "made", {"train": [{"image": np.zeros((8, 8, 1), np.float32), "label": 1}]}, features)
    with pytest.raises(ValueError, match="an Image and a ClassLabel are needed"):
        load("made", tmp_path)


def test_no_labeled_image(tmp_path):
    prepare(tmp_path, "made", {"train": examples(3, labels=[-1] * 3)})
    with pytest.raises(ValueError, match="tfds:made: its split train has no image with a label"):
        load("made", tmp_path)


@pytest.mark.parametrize("test", [True, False])
def test_what_does_not_fit_is_read_from_its_files_to_the_same_bits(tmp_path, test):
    rows = [{"image": jpeg(i, 9 + i % 5, 12), "label": i % 4 - 1} for i in range(700)]
    rows[5]["image"] = b"no picture"
    splits = {"train": rows, "validation": examples(9, 2000), "unlabeled": examples(6, 3000)}
    if test:
        splits |= {"test": examples(8, 4000, [0, 1, -1, 2, 0, 1, 2, 0])}
    else:
        del splits["validation"]
    prepare(tmp_path, "made", splits, shards=3)
    loaded = [
        datasets.load("tfds:made", tmp_path, datasets.Reading(side=16, limit=limit)) for limit in (2**30, 16 * 16 * 3)
    ]
    memory, streamed = loaded
    assert isinstance(memory.train_images, np.ndarray)
    for part in ("train", "test"):
        held, read = (getattr(data, f"{part}_images") for data in loaded)
        assert not isinstance(read, np.ndarray)
        assert (read.shape, read.nbytes, read.dtype, len(read)) == (held.shape, held.nbytes, held.dtype, len(held))
        np.testing.assert_array_equal(read[:], held)
        np.testing.assert_array_equal(getattr(streamed, f"{part}_labels"), getattr(memory, f"{part}_labels"))
    chosen = np.array([500, 3, 3, len(memory.train_labels) - 1])
    np.testing.assert_array_equal(streamed.train_images[chosen], memory.train_images[chosen])
    np.testing.assert_array_equal(streamed.train_images.only(chosen)[1:3], memory.train_images[chosen[1:3]])
    # A run goes on with another --memory-limit.
    np.testing.assert_array_equal(streamed.digests, image_files.digests(memory.train_images))
    np.testing.assert_array_equal(memory.digests, streamed.digests)
    np.testing.assert_array_equal(memory.validation, streamed.validation)
    assert memory.notes == streamed.notes
    assert memory.test_held_out == streamed.test_held_out == (not test)


@pytest.mark.parametrize("limit", [1, LIMIT])
def test_files_of_another_format_are_refused(tmp_path, limit):
    prepare(tmp_path, "made", {"train": examples(6), "test": examples(4)}, file_format="array_record")
    with pytest.raises(ValueError, match=r"^tfds:made: .*its files are array_record, only tfrecord is read; prepare"):
        load("made", tmp_path, limit=limit)


def named(name, spelling):
    """As a stranger would hide the name of a class in features.json."""
    legacy = {"type": name, "content": {}}
    return {
        "today": {"pythonClassName": name, "featuresDict": {"features": {}}},
        "inside": {"pythonClassName": FEATURES_DICT, "featuresDict": {"features": {"x": {"python_class_name": name}}}},
        "before": legacy,
        "text": {"type": FEATURES_DICT, "content": json.dumps({"features": {"x": legacy}}), "proto_cls": "x"},
    }[spelling]


FEATURES_DICT = "tensorflow_datasets.core.features.features_dict.FeaturesDict"


@pytest.mark.parametrize("spelling", ["today", "inside", "before", "text"])
@pytest.mark.parametrize("asked", ["made", "Made", "made/small", "made:1.0.0"])
def test_code_that_a_set_brings_along_is_not_run(tmp_path, monkeypatch, spelling, asked):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "brought_along.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path / "code")
    folder = tmp_path / "made" / ("small/1.0.0" if "/" in asked else "1.0.0")
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps(named("brought_along.Feature", spelling)))
    with refused("asks for brought_along.Feature, which is no feature of TensorFlow Datasets"):
        load(asked, tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"a":' * 100_000])
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_damaged_descriptions_are_one_line(tmp_path, name, text):
    folder = tmp_path / "made" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps({"pythonClassName": FEATURES_DICT}))
    (folder / name).write_text(text)
    with refused(f"tfds:made: .*{name}: is damaged"):
        load("made", tmp_path)


def test_damaged_files_that_do_not_fit(tmp_path):
    builder = prepare(tmp_path, "made", {"train": examples(6), "test": examples(4)})
    (file,) = builder.data_path.glob("made-train*")
    whole = file.read_bytes()
    for damaged, words in ((whole[:-2], r"made-train.*: it ends within an example"), (b"", "hold 4 examples, not 10")):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"is damaged, delete it and prepare it again: .*{words}"):
            load("made", tmp_path, limit=1)
    file.unlink()
    with pytest.raises(ValueError, match=r"is damaged, .*No such file"):
        load("made", tmp_path, limit=1)


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path):
    builder = prepare(tmp_path, "made", {"train": examples(6), "test": examples(4)})
    pool = load("made", tmp_path, limit=1).pool
    (file,) = builder.data_path.glob("made-train*")
    file.write_bytes(bytes(len(file.read_bytes())))
    with pytest.raises(image_files.BrokenImageError, match=rf"{file.name}, byte 12: no example with one 'image'; prep"):
        pool[:1]


def test_versions_and_configs(tmp_path):
    prepare(tmp_path, "cifar10", {"train": examples(3), "test": examples(3)}, version="1.0.0")
    prepare(tmp_path, "cifar10", {"train": examples(5), "test": examples(3)}, version="2.1.0")
    prepare(tmp_path, "imagenet_resized", {"train": examples(4), "validation": examples(3)}, config="32x32")
    # The library's own cifar10 has a newer version, and is not asked.
    assert len(load("cifar10", tmp_path).labeled) == 5
    assert len(load("cifar10:1.0.0", tmp_path).labeled) == 3
    assert len(load("cifar10:1.*.*", tmp_path).labeled) == 3
    assert len(load("imagenet_resized/32x32", tmp_path).labeled) == 4


def test_the_default_folder(tmp_path):
    prepare(tmp_path / "default", "made", {"train": examples(3)})
    assert len(load("made", None).labeled) == 3


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("cifr10", "knows no such set; did you mean .*cifar10.*\\?$"),
        ("qqqqqqqq", "not prepared in .* knows no such set$"),
        ("huggingface:cifar10", "write tfds:NAME"),
        ("../cifar10", "write tfds:NAME"),
        ("cifar10:0.1.0", "cifar10 cannot be loaded at version 0.1.0, only: "),
        ("imagenet_resized/31x31", "^tfds:imagenet_resized/31x31: BuilderConfig 31x31 not found"),
    ],
)
def test_unknown_names(tmp_path, name, match):
    with pytest.raises(ValueError, match=match) as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_offline(tmp_path, monkeypatch, capsys):
    def refuse(self, **_):
        print("Downloading ...")
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", refuse)
    said = []
    with pytest.raises(InputError) as caught:
        load("cifar10", tmp_path, say=said.append)
    message = str(caught.value)
    assert "\n" not in message
    assert "(no network)" in message
    assert "tfds.load('cifar10', data_dir='DIR')" in message
    assert "`data_dir`" in message
    assert len(said) == 1
    assert str(tmp_path) in said[0]
    assert capsys.readouterr() == ("", "")


def test_damaged_files(tmp_path):
    builder = prepare(tmp_path, "made", {"train": examples(6), "test": examples(3)})
    (file,) = builder.data_path.glob("made-train*")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is damaged, delete it and prepare it again: train: ") as caught:
        load("made", tmp_path)
    assert "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(ValueError, match="is damaged"):
        load("made", tmp_path)
    (builder.data_path / "dataset_info.json").write_text("{")
    with pytest.raises(ValueError, match=r"^tfds:made: ") as caught:
        load("made", tmp_path)
    assert "\n" not in str(caught.value)


def test_nothing_is_printed(tmp_path, capfd):
    prepare(tmp_path, "made", {"train": examples(3), "test": examples(3)})
    before = logging.getLogger("absl").level
    capfd.readouterr()
    load("made", tmp_path)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("absl").level == before


def test_what_a_run_gets(tmp_path):
    splits = {
        "train": examples(9),
        "test": examples(3, 20),
        "validation": examples(4, 40),
        "unlabeled": examples(5, 60),
    }
    prepare(tmp_path, "made", splits)
    data = datasets.load("tfds:made", tmp_path, datasets.Reading(side=8))
    assert np.bincount(data.train_labels + 1).tolist() == [5, 5, 4, 4]
    assert data.validation.tolist() == [9, 10, 11, 12]
    assert (data.train_labels[13:] == -1).all()
    assert not data.test_held_out


def test_without_a_test_some_are_held_out_and_labels_stay_with_their_images(tmp_path):
    builder = prepare(tmp_path, "made", {"train": examples(30), "unlabeled": examples(4, 60)})
    data = datasets.load("tfds:made", tmp_path, datasets.Reading(side=8))
    assert data.test_held_out
    assert "set aside" in data.notes[-1]
    assert np.bincount(data.test_labels).tolist() == [2, 2, 2]
    assert np.bincount(data.train_labels + 1).tolist() == [4, 8, 8, 8]
    images, labels = decoded(builder, "train")
    true = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for part, given in ((data.train_images[:24], data.train_labels), (data.test_images, data.test_labels)):
        for image, label in zip(part, given, strict=False):
            assert true.pop(image.tobytes()) == label
    assert not true


def test_what_is_alike_is_not_both_trained_on_and_tested(tmp_path):
    rows = examples(30)
    for i in range(0, 30, 2):
        rows[i + 1] = {**rows[i], "label": rows[i]["label"]}
    prepare(tmp_path, "made", {"train": rows})
    data = datasets.load("tfds:made", tmp_path, datasets.Reading(side=8))
    seen, kept = ({image.tobytes() for image in images} for images in (data.test_images, data.train_images))
    assert not seen & kept
    (note,) = (note for note in data.notes if "that are in the test too, left out" in note)
    assert int(note.split()[0]) == 30 - len(data.train_images) - len(data.test_images) > 0
    np.testing.assert_array_equal(data.digests, image_files.digests(data.train_images))
    prepare(tmp_path, "alike", {"train": [*examples(9), {"image": pixels(99), "label": 0}][:3] * 2})
    with pytest.raises(ValueError, match="tfds:alike: class cat has no image left to train on"):
        datasets.load("tfds:alike", tmp_path, datasets.Reading(side=8))


def test_a_run_on_a_prepared_set_that_fits_or_does_not(tmp_path, monkeypatch):
    from tests.runs.test_own_images import identical
    from tests.runs.test_run import run_here

    prepare(tmp_path, "made", {"train": examples(390), "test": examples(6, 1000)})
    given = {"dataset": "tfds:made", "data_dir": str(tmp_path), "network": "mini", "labels": "all"}
    found, whole = run_here(tmp_path / "runs", "a", **given)
    assert found["class_names"] == list(CLASSES)
    assert any("made/1.0.0" in note for note in found["notes"])
    assert (whole / "model.json").exists()
    # 396 images of 32 x 32 are 1.2 MiB.
    monkeypatch.setattr(materials, "DevicePixels", None)
    found, streamed = run_here(tmp_path / "runs", "b", **given, memory_limit=1)
    identical(whole, streamed)
