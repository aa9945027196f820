import importlib.util
import io
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from sesemi import models
from sesemi.commands import export as command
from sesemi.datasets import image_files
from sesemi.inference import conversion, formats, picture_input, saved
from sesemi.training import export, preprocess
from sesemi.training.classifier import Classifier
from tests.conftest import ROOT, tiny_trunk

IMAGES = np.random.default_rng(3).integers(0, 256, (9, 8, 8, 2)).astype(np.uint8)
FACTS = {
    "class_names": ["a", "b", "ç"],
    "image_shape": [8, 8, 2],
    "resize": "crop",
    "shift": 1,
    "flip": True,
    "noise": 0,
}


def make(seed=1, whiten=False):
    """A model that is not as it was born: no average of BatchNorm is 0."""
    keras.utils.set_random_seed(seed)
    front = preprocess.build((8, 8, 2), whiten=whiten)
    if whiten:
        preprocess.set_whitening(front, preprocess.fit_whitening(IMAGES))
    classifier = Classifier(tiny_trunk(0.2), 3, preprocess=front)
    rng = np.random.default_rng(seed)
    for weight in classifier.trunk.weights:
        if "moving" in weight.path:
            weight.assign(rng.uniform(0.1, 0.4, weight.shape))
    return export.build(classifier)


def put(folder, model, **facts):
    folder.mkdir(exist_ok=True)
    export.save(model, folder / "model.keras")
    saved.write_sidecar(folder / "model.keras", **{**FACTS, **facts})


@pytest.fixture
def images(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    return ["--images", str(tmp_path / "images.npy")]


@pytest.fixture
def run(tmp_path):
    put(tmp_path / "run", make())
    return tmp_path / "run"


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refused(capsys, *arguments):
    try:
        code = command.main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


def answers(name, path, images):
    return formats.FORMATS[name].read(path)(images)


@pytest.mark.parametrize("whiten", [False, True], ids=["gcn", "zca"])
@pytest.mark.parametrize("name", formats.FORMATS)
def test_another_runtime_gives_the_same_answers_for_any_number_of_raw_images(name, whiten, tmp_path, images, capsys):
    for package in formats.FORMATS[name].packages:
        pytest.importorskip(package)
    model = make(whiten=whiten)
    put(tmp_path / "run", model)
    assert command.main([str(tmp_path / "run"), "--format", name, *images]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 4
    assert "on 9 images" in out
    made = tmp_path / "run" / (f"model.{name}" if name != "saved_model" else name)
    names = saved.sidecar_of(made) if made.is_file() else made / "class_names.json"
    assert str(made) in out
    assert str(names) in out
    assert json.loads(names.read_text())["class_names"] == FACTS["class_names"]
    assert {path.name for path in made.parent.iterdir()} == {"model.keras", "model.json", made.name}
    assert formats.FORMATS[name].names(made) == FACTS["class_names"]
    wanted = np.asarray(model(IMAGES))
    assert np.ptp(wanted) > 0.05
    for rows in (1, 9, 2):
        np.testing.assert_allclose(answers(name, made, IMAGES[:rows]), wanted[:rows], atol=1e-5)


def other_weights(good):
    """The writer of a format, which takes another model than it is given."""
    return lambda served, path: good.write(served._replace(model=make(seed=2)), path)


@pytest.mark.parametrize("name", ["saved_model", "tflite"])
def test_a_converter_that_is_wrong_leaves_the_old_one_and_nothing_else(name, run, images, monkeypatch, capsys):
    arguments = [str(run), "--format", name, *images]
    good = formats.FORMATS[name]
    monkeypatch.setitem(formats.FORMATS, name, good._replace(write=other_weights(good)))
    fresh = contents(run)
    assert command.main(arguments) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "differ by up to 0." in err
    assert contents(run) == fresh
    monkeypatch.setitem(formats.FORMATS, name, good)
    assert command.main(arguments) == 0
    old = contents(run)
    monkeypatch.setitem(formats.FORMATS, name, good._replace(write=other_weights(good)))
    assert command.main(arguments) == 3
    assert contents(run) == old


def test_a_good_one_takes_the_place_of_the_old_one(run, tmp_path, images):
    target = tmp_path / "served"
    target.mkdir()
    for seed in (1, 2):
        model = make(seed)
        put(run, model, class_names=[f"{seed}{name}" for name in "abc"])
        for name, output in (("saved_model", target), ("tflite", tmp_path / "served.tflite")):
            assert command.main([str(run), "--format", name, "--output", str(output), *images]) == 0
            np.testing.assert_allclose(answers(name, output, IMAGES), np.asarray(model(IMAGES)), atol=1e-5)
        for names in (target / "class_names.json", tmp_path / "served.json"):
            assert json.loads(names.read_text())["class_names"][0] == f"{seed}a"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "images.npy", "served", "served.tflite", "served.json"}


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("two\nlines"), KeyboardInterrupt()]
)
def test_a_conversion_that_fails_leaves_nothing(error, run, images, monkeypatch, capsys):
    def write(model, path):
        path.write_bytes(b"half")
        print("chatter")
        raise error

    monkeypatch.setitem(formats.FORMATS, "tflite", formats.FORMATS["tflite"]._replace(write=write))
    before = contents(run)
    code = command.main([str(run), "--format", "tflite", *images])
    assert contents(run) == before
    if isinstance(error, KeyboardInterrupt):
        assert code == 130
    else:
        assert code == 3
        last = capsys.readouterr().err.splitlines()[-1]
        assert type(error).__name__ in last
        assert "No space left" in last or "two lines" in last


def test_the_old_folder_comes_back_if_the_new_one_cannot_be_put_there(run, images, monkeypatch, capsys):
    arguments = [str(run), "--format", "saved_model", *images]
    assert command.main(arguments) == 0
    old, rename = contents(run), os.rename

    def fails(source, target):
        if source.name == "model":
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    assert command.main(arguments) == 3
    assert "Input/output error" in capsys.readouterr().err
    assert contents(run) == old


@pytest.mark.parametrize("missing", ["tf2onnx", "onnxruntime"])
def test_an_absent_package_is_named_before_anything_is_loaded(missing, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == missing else name in formats.INSTALL or real(name, *rest),
    )
    error = refused(capsys, "no/such/run", "--format", "onnx")
    assert f"needs {missing}; pip install" in error
    assert '"tf2onnx~=' in error


def test_what_cannot_be_read_or_written_is_one_line(run, tmp_path, images, capsys):
    assert "no such model" in refused(capsys, tmp_path / "none", "--format", "tflite")
    assert "--format" in refused(capsys, run)
    assert "invalid choice" in refused(capsys, run, "--format", "coreml")
    place = (run, "--format", "tflite", *images, "--output")
    assert "a file .tflite" in refused(capsys, *place, run / "model.keras")
    assert "there is no folder" in refused(capsys, *place, tmp_path / "no" / "model.tflite")
    place = (run, "--format", "saved_model", *images, "--output")
    assert "holds model.json, which" in refused(capsys, *place, run)
    assert "no folder" in refused(capsys, *place, run / "model.keras")
    (tmp_path / "link").symlink_to(tmp_path)
    assert "no folder" in refused(capsys, *place, tmp_path / "link")


def test_a_saved_model_with_somebodys_notes_in_it_is_left_alone(run, tmp_path, images, capsys):
    (tmp_path / "served").mkdir()
    for name in ("saved_model.pb", "notes.txt"):
        (tmp_path / "served" / name).write_text("mine")
    error = refused(capsys, run, "--format", "saved_model", *images, "--output", tmp_path / "served")
    assert "holds notes.txt" in error


@pytest.mark.parametrize("neighbour", ["mine.keras", "mine.onnx", None])
def test_class_names_of_another_model_are_left_alone(neighbour, run, tmp_path, images, capsys):
    names = tmp_path / "mine.json"
    names.write_text(json.dumps({"class_names": ["x", "y", "z"]} if neighbour else {"a": 1}))
    if neighbour:
        (tmp_path / neighbour).touch()
    before = contents(tmp_path)
    error = refused(capsys, run, "--format", "tflite", *images, "--output", tmp_path / "mine.tflite")
    assert "mine.json beside it is not of this model" in error
    assert contents(tmp_path) == before


def test_a_model_without_names_says_so(run, images, capsys):
    saved.sidecar_of(run / "model.keras").unlink()
    assert command.main([str(run / "model.keras"), "--format", "saved_model", *images]) == 0
    assert "class names: none" in capsys.readouterr().out
    assert not (run / "saved_model" / "class_names.json").exists()


def test_images_to_compare_on_must_be_of_the_models_shape(run, tmp_path, capsys):
    path = tmp_path / "images.npy"
    command = (run, "--format", "tflite", "--images", path)
    assert "No such file" in refused(capsys, *command)
    for wrong in (IMAGES[:, :4], IMAGES.astype(np.float32), IMAGES[:0], IMAGES[0]):
        np.save(path, wrong)
        assert f"uint8 [N, 8, 8, 2] is needed, this is {wrong.dtype} {list(wrong.shape)}" in refused(capsys, *command)
    path.write_bytes(b"no array")
    assert "cannot be read" in refused(capsys, *command)
    with open(path, "wb") as file:
        np.savez(file, IMAGES)
    assert "cannot be read" in refused(capsys, *command)
    assert "give images.npy" in refused(capsys, run, "--format", "tflite")


@pytest.mark.parametrize("shape", [(32, 32, 3), (20, 40, 3), (8, 8, 1), (12, 9, 1)])
def test_sample_images_are_of_the_shape_and_all_different(shape):
    images = conversion.sample_images(shape)
    assert (images.shape, images.dtype) == ((32, *shape), np.uint8)
    assert len(np.unique(images.reshape(32, -1), axis=0)) == 32
    # The flattest is a piece of sky.
    assert images.std(axis=(1, 2, 3)).min() > 2
    np.testing.assert_array_equal(images, conversion.sample_images(shape))


def test_the_largest_difference_and_the_class_decide():
    def compared(wanted, found):
        return conversion.differences(
            lambda batch, training: wanted[: len(batch)], lambda batch: found[: len(batch)], IMAGES
        )

    wanted = np.tile(np.array([[0.50004, 0.49996, 0.0]]), (32, 1))
    largest, agree = compared(wanted, wanted[:, [1, 0, 2]])
    assert largest == pytest.approx(8e-5)
    assert agree
    clear = np.tile(np.array([[0.50006, 0.49994, 0.0]]), (32, 1))
    swapped = clear + np.array([[-9e-5, 9e-5, 0]])
    largest, agree = compared(clear, swapped)
    assert largest == pytest.approx(9e-5)
    assert not agree
    assert compared(wanted, wanted + 1.1e-4)[1] is False
    assert compared(wanted, wanted * np.nan)[1] is False
    assert compared(wanted, wanted[:, :2])[1] is False
    last = wanted.copy()
    last[8] += 0.25
    assert compared(wanted, last)[0] == pytest.approx(0.25)


def test_a_user_sees_our_lines_only_and_help_loads_no_tensorflow(run, images):
    program = "import sys; from sesemi.commands import export; sys.exit(export.main())"
    command = [sys.executable, "-c", program, str(run), "--format", "tflite", *images]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["tflite:", "takes", "largest", "class"]
    program = "import sys; from sesemi.commands import export\ntry: export.main(['--help'])\nexcept SystemExit: pass\n"
    program += "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True)


PHOTOS = {"wide": (37, 60, 3), "tall": (90, 31, 3), "small": (5, 7, 3), "its own": (8, 8, 3)}


@pytest.mark.parametrize("resize", ["crop", "pad"])
@pytest.mark.parametrize("shape", PHOTOS.values(), ids=PHOTOS)
def test_pictures_of_any_size_become_what_a_run_reads(shape, resize, rng):
    """Smooth ones, as photographs are; Pillow rounds once more on the way."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = [np.sin(rows / (3 + k)) + np.cos(columns / (2 + k)) for k in range(3)]
    picture = np.uint8(np.clip(127 + 60 * np.stack(waves, axis=-1) + rng.normal(size=shape) * 5, 0, 255))
    wanted = image_files.resized(picture[None], 8, resize)[0].astype(int)
    found = picture_input.resized(picture[None], 8, resize)[0].numpy()
    assert np.abs(found - wanted).max() <= 2
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    files = tf.constant([encoded.getvalue()])
    np.testing.assert_array_equal(picture_input.from_files(files, 8, 3, resize)[0], found)


def rgb_run(folder):
    """A run whose network takes colours, which is what files hold."""
    classifier = Classifier(models.build("mini", (8, 8, 3)), 3)
    put(folder, export.build(classifier), image_shape=[8, 8, 3], resize="pad")
    return saved.load(folder)


@pytest.mark.parametrize("takes", ["any-size", "jpeg"])
def test_a_saved_model_takes_pictures_of_any_size_or_files(takes, tmp_path, capsys, rng):
    model = rgb_run(tmp_path / "run")
    assert command.main([str(tmp_path / "run"), "--format", "saved_model", "--input", takes]) == 0
    assert f"takes '{formats.INPUTS[takes]}': " in capsys.readouterr().out
    picture = rng.integers(0, 256, (20, 31, 3)).astype(np.uint8)
    loaded = tf.saved_model.load(str(tmp_path / "run" / "saved_model"))
    given = formats._as_png(picture[None]) if takes == "jpeg" else picture[None]
    found = loaded.signatures["serving_default"](**{formats.INPUTS[takes]: tf.constant(given)})["probabilities"]
    small = picture_input.resized(picture[None], 8, "pad")
    np.testing.assert_allclose(found, model.model(small), atol=1e-5)


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_runtimes_without_the_operations_refuse_other_inputs(name, run, capsys):
    error = refused(capsys, run, "--format", name, "--input", "jpeg")
    assert "--input jpeg" in error
    assert "give pixels, or --format saved_model" in error
