import json

import numpy as np
import pytest

from sesemi import datasets, models
from sesemi.commands import evaluate
from sesemi.datasets.base import ImageData
from sesemi.inference import calibration, evaluation_sets, inputs, metrics, predictions, saved
from tests.commands.test_predict import colors_to, export_to, paint


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    return str(colors_to(tmp_path_factory.mktemp("colors")))


@pytest.fixture
def folder(tmp_path):
    """Seven pictures; one of the reds is in truth green, one is broken."""
    for part in ("train", "test"):
        for number in range(3):
            paint(tmp_path / "set" / part / "red" / f"{number}.png", "green" if number == 2 else "red")
            paint(tmp_path / "set" / part / "green" / "deep" / f"{number}.png", "green")
    paint(tmp_path / "set" / "test" / "blue" / "x.png", "blue")
    (tmp_path / "set" / "test" / "blue" / "y.png").write_bytes(b"\x89PNG")
    return tmp_path / "set"


def test_a_folder_of_classes_is_evaluated_and_written(colors, folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate.main([colors, str(folder), "--output", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert "error 14.29 % of 7 images (one view)" in printed
    assert "on other pictures of the same kind between 2.6 and 51.3 % (95 %)" in printed
    assert "1  red taken for green" in printed
    assert "blue/y.png: left out" in err
    assert "1 of 8 pictures could not be decoded" in err
    found = json.loads((out / "evaluation.json").read_text())
    assert found["confusion_matrix"] == [[2, 1, 0], [0, 3, 0], [0, 0, 1]]
    assert (found["images"], found["broken"], found["views"]) == (7, 1, 1)
    green = {
        "class": "green",
        "images": 3,
        "error": 0.0,
        "precision": 75.0,
        "recall": 100.0,
        "f1": pytest.approx(600 / 7),
    }
    assert found["classes"][1] == green
    assert sum(row["images"] for row in found["reliability"]) == 7
    assert sorted(path.name for path in out.iterdir()) == ["confusion.png", "evaluation.json", "reliability.png"]
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in ("confusion.png", "reliability.png"))


def test_by_default_it_is_written_beside_the_model(folder, tmp_path, capsys):
    run = colors_to(tmp_path / "run")
    (folder / "train" / "stray.png").write_bytes(b"")
    assert evaluate.main([str(run / saved.MODEL), str(folder / "train"), "--views", "8"]) == 0
    out, err = capsys.readouterr()
    assert "of 6 images (mean of 8 views)" in out
    assert "no folder for 1 of the model's classes: blue" in err
    assert "1 pictures in" in err
    assert "lie in no class folder" in err
    assert (run / "evaluation-train" / "evaluation.json").is_file()


def test_digits_are_enlarged_as_in_a_run(tmp_path, monkeypatch):
    digits = datasets.load("digits")
    model = saved.load(export_to(tmp_path / "run", models.build("mini", (16, 16, 1)), classes=tuple("0123456789")))
    items, labels, _ = evaluation_sets.test_set("digits", None, model, labels_file=None, trained_on=None)
    read = inputs.Reader(model.image_shape, model.resize)
    images = np.stack([read(what) for _, what in items])
    np.testing.assert_array_equal(images, digits.at_least(16).test_images)
    np.testing.assert_array_equal(labels, digits.test_labels)
    assert evaluate.main([str(tmp_path / "run"), "digits"]) == 0
    found = json.loads((tmp_path / "run" / "evaluation-digits" / "evaluation.json").read_text())
    probs = predictions.probabilities(predictions.Compiled(model.model), images)
    assert found["test_error"] == metrics.error_percent(probs, labels)
    assert found["expected_calibration_error"] == calibration.expected_calibration_error(probs, labels)


def test_images_of_another_size_are_fitted(colors, monkeypatch):
    images = np.zeros((2, 20, 30, 3), np.uint8)
    images[..., 2] = 200
    data = ImageData(images, np.zeros(2, np.int32), images, np.full(2, 2, np.int32), ("red", "green", "blue"))
    monkeypatch.setattr(datasets, "load", lambda *args: data)
    items, labels, _ = evaluation_sets.test_set("cifar10", None, saved.load(colors), labels_file=None, trained_on=None)
    fitted = np.stack([inputs.Reader((8, 8, 3), "crop")(what) for _, what in items])
    np.testing.assert_array_equal(fitted, images[:, :8, :8])
    assert labels.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("dataset", "flags", "words"),
    [
        ("absent", [], ["absent: neither a data set (digits", "nor a folder"]),
        ("strange", [], ["the model has no class purple; its classes are red, green, blue"]),
        ("empty", [], ["no picture in it"]),
        ("strange", ["--data-dir", "x"], ["leave it out"]),
        ("strange", ["--labels-file", "x"], ["--labels-file x: of use only with folder"]),
        ("folder", [], ["--data-dir is needed"]),
        ("a" * 300, [], ["neither a data set"]),
        ("digits", [], ["digits: 10 classes, the model has 3"]),
        ("digits", ["--data-dir", "x"], ["digits come with scikit-learn"]),
        ("strange", ["--output", "file/out"], ["--output: file/out cannot be written to"]),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(colors, tmp_path, monkeypatch, capsys, dataset, flags, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange" / "purple").mkdir(parents=True)
    (tmp_path / "empty" / "red").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert evaluate.main([colors, dataset, *flags]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert all(word in err for word in words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "strange"]


def test_classes_of_a_data_set_must_have_the_models_names(tmp_path, capsys):
    run = export_to(tmp_path / "run", models.build("mini", (8, 8, 1)), classes=tuple("0123456798"))
    assert evaluate.main([str(run), "digits"]) == 2
    assert "digits: its classes are not the model's ('8' stands where the model has '9')" in capsys.readouterr().err
    saved.sidecar_of(run / saved.MODEL).unlink()
    assert evaluate.main([str(run), "digits"]) == 0
    assert "classes are numbered" in capsys.readouterr().err
