import contextlib
import csv
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from sesemi.augmentation.views import Augmentation
from sesemi.commands import classifying, predict
from sesemi.errors import InputError
from sesemi.inference import inputs, predictions, saved
from sesemi.training import export
from sesemi.training.classifier import Classifier
from tests import conftest

COLORS = {"red": (230, 20, 30), "green": (10, 220, 40), "blue": (25, 15, 240)}


def export_to(folder, trunk, head=None, *, sidecar=True, classes=("red", "green", "blue"), **facts):
    """A run folder as `predict` sees it."""
    folder.mkdir(exist_ok=True)
    classifier = Classifier(trunk, len(classes))
    if head is not None:
        classifier.head.set_weights([head, np.zeros(len(classes))])
    export.save(export.build(classifier), folder / saved.MODEL)
    facts = {"class_names": classes, "resize": "crop", "shift": 2, "flip": True, "noise": 0.15} | facts
    if sidecar:
        saved.write_sidecar(folder / saved.MODEL, **facts)
    return folder


def colors_to(folder, **facts):
    """A model of 8 x 8 RGB that tells what color an image has most of."""
    pixels = keras.Input((8, 8, 3))
    same = keras.layers.Conv2D(3, 1, use_bias=False)
    trunk = keras.Model(pixels, same(pixels))
    same.set_weights([np.eye(3)[None, None]])
    return export_to(folder, trunk, 2.0 * np.eye(3), **facts)


def paint(path, color, *, size=(9, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(-9, 9, (size[1], size[0], 3))
    Image.fromarray((noise + COLORS[color]).clip(0, 255).astype(np.uint8)).save(os.fsencode(path), format="PNG")
    return path


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    return str(colors_to(tmp_path_factory.mktemp("colors")))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    paint(folder / "b.png", "green")
    paint(folder / "a" / "deep" / "z.png", "red")
    paint(folder / "c.png", "blue", size=(40, 30))
    (folder / "notes.txt").write_text("no picture")
    return folder


def rows_of(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_lines_in_the_order_given_and_sorted_in_a_folder(colors, pictures, tmp_path, capsys):
    array = np.stack([np.broadcast_to(COLORS[name], (8, 8, 3)) for name in ("blue", "red")]).astype(np.uint8)
    np.save(tmp_path / "some.npy", array)
    alone = paint(tmp_path / "alone.png", "blue")
    assert predict.main([colors, str(tmp_path / "some.npy"), str(pictures), str(alone)]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    places = ["some.npy[0]", "some.npy[1]", "pictures/a/deep/z.png", "pictures/b.png", "pictures/c.png", "alone.png"]
    assert [line[0] for line in lines] == [str(tmp_path / place) for place in places]
    assert [line[1] for line in lines] == ["blue", "red", "red", "green", "blue", "blue"]
    assert all(line[2].endswith(" %") and 90 < float(line[2][:-2]) <= 100 for line in lines)


def test_what_a_folder_holds_beside_pictures_is_said(colors, pictures, capsys):
    for name in ("a.heic", "@eaDir/b.png", "c.pdf"):
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).write_bytes(b"")
    (pictures / "d.png").symlink_to(pictures / "gone.png")
    found = inputs.gather([str(pictures)])
    assert [note.removeprefix(f"{pictures}: ") for note in found[0].notes] == [
        "passed over: 1 folders of machines: @eaDir",
        "passed over: 1 links that lead nowhere or in a circle: d.png",
        "files of other kinds, not read: 1 .heic, 1 .pdf, 1 .txt (HEIC is read after: pip install pillow-heif)",
    ]
    assert predict.main([str(colors), str(pictures), "--gpu", "cpu"]) == 0
    assert set(found[0].notes) <= set(capsys.readouterr().err.splitlines())


def test_the_table_has_the_k_most_probable_classes(colors, pictures, tmp_path, capsys):
    table = tmp_path / "new" / "table.csv"
    assert predict.main([colors, "--csv", str(table), str(pictures), "--top", "3"]) == 0
    assert capsys.readouterr().out == ""
    rows = rows_of(table)
    assert list(rows[0]) == ["path", "class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
    assert [row["class"] for row in rows] == ["red", "green", "blue"]
    for row in rows:
        probabilities = [float(row[name]) for name in ("probability", "probability_2", "probability_3")]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert [path.name for path in table.parent.iterdir()] == ["table.csv"]


def test_paths_of_any_bytes_survive_the_table_and_lines_stay_lines(colors, tmp_path, capsys):
    names = [b'a, "b".png', b"line\nbreak.png", b"return\r.png", b"\xff\xfe.png", "日本.png".encode()]
    folder = tmp_path / "odd"
    for name in names:
        paint(folder / os.fsdecode(name), "red")
    assert predict.main([colors, str(folder), "--csv", str(tmp_path / "t.csv")]) == 0
    written = {os.fsencode(row["path"]) for row in rows_of(tmp_path / "t.csv")}
    assert written == {os.fsencode(folder) + b"/" + name for name in names}
    capsys.readouterr()
    assert predict.main([colors, str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert any("line\\nbreak.png  red" in line for line in lines)
    assert any("日本.png  red" in line for line in lines)


def test_no_class_is_named_below_the_confidence_asked_for(colors, tmp_path, capsys):
    array = np.zeros((2, 8, 8, 3), np.uint8)
    array[0], array[1, :4], array[1, 4:] = COLORS["red"], COLORS["red"], COLORS["green"]
    np.save(tmp_path / "x.npy", array)
    arguments = [colors, str(tmp_path / "x.npy"), "--min-confidence", "0.8"]
    assert predict.main(arguments) == 0
    out, err = capsys.readouterr()
    assert [line.split("  ")[1] for line in out.splitlines()] == ["red", "?"]
    assert err.splitlines()[-1] == "1 of 2 pictures below 0.8: no class is named"
    assert predict.main([*arguments, "--csv", str(tmp_path / "t.csv")]) == 0
    rows = rows_of(tmp_path / "t.csv")
    assert [row["class"] for row in rows] == ["red", ""]
    assert float(rows[1]["probability"]) < 0.8


@pytest.mark.parametrize("views", [1, 8])
def test_numbers_do_not_depend_on_how_pictures_arrive(colors, tmp_path, rng, views, capsys):
    images = rng.integers(0, 256, (403, 8, 8, 3)).astype(np.uint8)
    np.save(tmp_path / "1.npy", images[:150])
    (tmp_path / "2").mkdir()
    for number, image in enumerate(images[150:300]):
        Image.fromarray(image).save(tmp_path / "2" / f"{number:03}.png")
    (tmp_path / "2" / "070.5.png").write_bytes(b"broken")
    np.save(tmp_path / "3.npy", images[300:])
    paths = [str(tmp_path / name) for name in ("1.npy", "2", "3.npy")]
    table = tmp_path / "t.csv"
    assert predict.main([colors, *paths, "--top", "3", "--csv", str(table), "--views", str(views)]) == 0
    model = saved.load(colors)
    if views == 1:
        expected = predictions.probabilities(predictions.Compiled(model.model), images)
    else:
        expected = predictions.multi_view_probabilities(model.model, images, Augmentation(2, True, 0.15))
    found = np.zeros_like(expected)
    for image, row in zip(found, rows_of(table), strict=True):
        for suffix in ("", "_2", "_3"):
            image[model.class_names.index(row[f"class{suffix}"])] = float(row[f"probability{suffix}"])
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    err = capsys.readouterr().err
    assert "070.5.png: left out, it cannot be decoded" in err
    assert "1 of 404 pictures could not be decoded" in err


def test_several_views_are_traced_once(colors, rng):
    model = saved.load(colors)
    views, size = classifying.classifier(model, 8)
    for number, count in enumerate((size, size, 3)):
        views(rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8), number)
    assert views._view.experimental_get_tracing_count() == 1


def test_a_grey_model_sees_luma(tmp_path, rng):
    read = inputs.Reader((8, 8, 1), "crop")
    color = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(color).save(tmp_path / "x.png")
    luma = np.asarray(Image.fromarray(color).convert("L"))[..., None]
    np.testing.assert_array_equal(read(tmp_path / "x.png"), luma)
    np.testing.assert_array_equal(read(color), luma)
    plain = color[..., :1]
    Image.fromarray(plain[..., 0]).save(tmp_path / "y.png")
    for same in (plain, plain[..., 0], tmp_path / "y.png"):
        np.testing.assert_array_equal(read(same), plain)
    assert read(rng.integers(0, 256, (20, 30), dtype=np.uint8)).shape == (8, 8, 1)


def test_pictures_are_fitted_as_in_the_run(colors, tmp_path, capsys):
    """Red with green ends: cut away, or not."""
    wide = np.zeros((8, 40, 3), np.uint8)
    wide[:], wide[:, 16:24] = COLORS["green"], COLORS["red"]
    Image.fromarray(wide).save(tmp_path / "x.png")
    padded = str(colors_to(tmp_path / "pad", resize="pad"))
    for model, name in ((colors, "red"), (padded, "green")):
        assert predict.main([model, str(tmp_path / "x.png")]) == 0
        assert f"  {name}  " in capsys.readouterr().out


def test_a_model_of_other_channels_takes_arrays_of_its_shape_alone(tmp_path, pictures, rng, capsys):
    model = str(export_to(tmp_path / "two", conftest.tiny_trunk(0.0)))
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (5, 8, 8, 2)).astype(np.uint8))
    assert predict.main([model, str(tmp_path / "x.npy")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert predict.main([model, str(pictures)]) == 2
    assert "takes only .npy files of uint8 [N, 8, 8, 2]" in capsys.readouterr().err


def test_without_a_sidecar_classes_are_numbered(tmp_path, pictures, capsys):
    model = colors_to(tmp_path / "bare", sidecar=False)
    assert predict.main([str(model / saved.MODEL), str(pictures)]) == 0
    out, err = capsys.readouterr()
    assert [line.split("  ")[1] for line in out.splitlines()] == ["0", "1", "2"]
    assert "model.json: missing, so classes are numbered" in err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["absent.png"], "absent.png: there is no such file"),
        (["a" * 300], "cannot be read (File name too long)"),
        (["one.npy", "--csv", "./five.npy"], "--csv five.npy: is there and no table of predictions"),
        (["pictures", "--csv", "pictures/b.png"], "--csv pictures/b.png: is there and no table of predictions"),
        (["pictures", "--csv", "run/model.keras"], "--csv run/model.keras: is there and no table"),
        (["pictures", "--csv", "a" * 300], "File name too long"),
        (["empty"], "empty: no picture in it"),
        (["float.npy"], "float.npy: uint8"),
        (["objects.npy"], "objects.npy: not an array of images"),
        (["cut.npy"], "cut.npy: not an array of images"),
        (["one.npy"], "looks like one image, [8, 8, 3]"),
        (["five.npy"], "five.npy: 5 channels"),
        (["pictures", "--top", "4"], "--top 4: the model has 3 classes"),
        (["pictures", "--top", "0"], "give a number from 1"),
        (["pictures", "--min-confidence", "1.5"], "give a number from 0 to 1"),
        (["pictures", "--min-confidence", "nan"], "give a number from 0 to 1"),
        (["pictures", "--csv", "empty"], "--csv"),
        (["pictures", "--csv", "pictures/b.png/t.csv"], "--csv"),
        (["pictures", "--gpu", "fast"], "give a GPU's number"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(colors, pictures, tmp_path, monkeypatch, capsys, change, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model.keras").write_text("a model")
    np.save("float.npy", np.zeros((2, 8, 8, 3)))
    np.save("objects.npy", np.array([{}], object))
    np.save("one.npy", np.zeros((8, 8, 3), np.uint8))
    np.save("five.npy", np.zeros((2, 8, 8, 5), np.uint8))
    np.save("cut.npy", np.zeros((9, 8, 8, 3), np.uint8))
    os.truncate("cut.npy", 500)
    monkeypatch.setattr(predict, "answers", None)
    try:
        code = predict.main([colors, *change])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert words in err


@pytest.mark.parametrize(
    "facts",
    [
        {"shift": "2"},
        {"shift": True},
        {"flip": 1},
        {"noise": float("nan")},
        {"noise": float("inf")},
        {"noise": -1},
        {"resize": "stretch"},
    ],
)
def test_a_sidecar_with_odd_values_is_refused(tmp_path, pictures, capsys, facts):
    assert predict.main([str(colors_to(tmp_path / "run", **facts)), str(pictures)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"model.json: is damaged ('{next(iter(facts))}' cannot be" in line


def test_a_sidecar_that_is_too_deep_is_refused(tmp_path, pictures, capsys):
    run = colors_to(tmp_path / "run")
    saved.sidecar_of(run / saved.MODEL).write_text("[" * 100_000)
    assert predict.main([str(run), str(pictures)]) == 2
    assert "model.json: is damaged (it is nested too deep); restore it, or remove it" in capsys.readouterr().err


def test_names_of_a_strangers_model_are_text_on_the_terminal(pictures, tmp_path, capsys):
    names = ("\x1b[2Jred\n", "g" * 100_000, "\u202eblue")
    model = str(colors_to(tmp_path / "run", classes=names))
    assert predict.main([model, str(pictures), "--top", "3"]) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert len(out.splitlines()) == 3
    assert all(len(line) < 5000 for line in out.splitlines())
    assert r"\x1b[2Jred\n  " in out


def test_a_class_that_is_a_formula_is_text_in_a_table(pictures, tmp_path, capsys):
    model = str(colors_to(tmp_path / "run", classes=("=1+1", "+x", "blue")))
    for more, wanted in (([], ["'=1+1", "'+x", "blue"]), (["--as-is"], ["=1+1", "+x", "blue"])):
        assert predict.main([model, str(pictures), "--csv", str(tmp_path / "x.csv"), *more]) == 0
        assert [row["class"] for row in rows_of(tmp_path / "x.csv")] == wanted
        assert ("2 cells of the table begin like a formula" in capsys.readouterr().err) is not bool(more)


def test_a_table_of_predictions_gives_way_to_the_next(colors, pictures, tmp_path):
    for top in ("2", "1"):
        assert predict.main([colors, str(pictures), "--csv", str(tmp_path / "t.csv"), "--top", top]) == 0
    assert list(rows_of(tmp_path / "t.csv")[0]) == ["path", "class", "probability"]


def test_a_machine_that_fails_is_one_line(colors, pictures, monkeypatch, capsys):
    for error in (OSError(5, "Input/output error"), MemoryError()):

        def fails(*_, error=error, **__):
            raise error

        monkeypatch.setattr(Image, "open", fails)
        assert predict.main([colors, str(pictures)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "a/deep/z.png" in line


@pytest.mark.parametrize("readable", [False, True])
def test_warnings_of_keras_are_one_line_or_none(colors, monkeypatch, capsys, recwarn, readable):
    real = keras.models.load_model

    def warns(path):
        for number in range(51):
            warnings.warn(f"container {number} has no group,\nits layers keep fresh weights", stacklevel=2)
        if not readable:
            raise ValueError("its weights lie in another file")
        return real(path)

    monkeypatch.setattr(keras.models, "load_model", warns)
    with contextlib.nullcontext() if readable else pytest.raises(InputError, match="weights lie in another file"):
        saved.load(colors)
    said = f"{colors}/model.keras: Keras warns 51 times, first: container 0 has no group, its layers keep fresh weights"
    assert capsys.readouterr().err.splitlines() == [said] * readable
    assert not recwarn.list


def test_a_model_that_is_none_is_refused(pictures, tmp_path, capsys):
    assert predict.main([str(tmp_path), str(pictures)]) == 2
    assert "there is no such model" in capsys.readouterr().err


def test_where_nothing_can_be_decoded_there_is_no_table(colors, tmp_path, capsys):
    (tmp_path / "x.png").write_bytes(b"GIF89a")
    assert predict.main([colors, str(tmp_path / "x.png"), "--csv", str(tmp_path / "t.csv")]) == 2
    assert "none of 1 pictures could be decoded" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_interrupted_leaves_no_table_and_the_one_before_whole(colors, pictures, tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text("path,class,probability\nbefore,red,1\n")
    np.save(tmp_path / "x.npy", np.zeros((900, 8, 8, 3), np.uint8))

    def interrupted(images, number):
        if number == 2:
            raise KeyboardInterrupt
        return np.full((len(images), 3), 1 / 3, np.float32)

    monkeypatch.setattr(classifying, "classifier", lambda *args: (interrupted, 200))
    assert predict.main([colors, str(tmp_path / "x.npy"), "--csv", str(tmp_path / "t.csv")]) == 130
    assert capsys.readouterr().err.splitlines() == ["interrupted"]
    assert (tmp_path / "t.csv").read_text() == "path,class,probability\nbefore,red,1\n"
    assert not list(tmp_path.glob(".partial*"))


def test_views_need_a_model_of_this_program(tmp_path, pictures, capsys):
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]).save(tmp_path / "x.keras")
    assert predict.main([str(tmp_path / "x.keras"), str(pictures)]) == 0
    assert predict.main([str(tmp_path / "x.keras"), str(pictures), "--views", "8"]) == 2
    assert "--views 8" in capsys.readouterr().err


def test_only_few_pictures_are_read_ahead():
    taken = []

    def items():
        for name, row in inputs.rows("{}", np.zeros((5000, 8, 8, 1), np.uint8)):
            taken.append(name)
            yield name, row

    found = inputs.ahead(inputs.batches(items(), inputs.Reader((8, 8, 1), "crop"), 50))
    assert len(next(found).names) == 50
    found.close()
    assert len(taken) <= 100


# Prints the kibibytes by which memory grew at most while all rows were read.
MEASURE = """
import sys
from sesemi.inference import inputs
def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
(source,), read = inputs.gather(sys.argv[1:]), inputs.Reader((32, 32, 3), "crop")
before = most()
assert sum(read(row).any() for _, row in source.items()) == 0 < source.count
print(most() - before)
"""


def test_a_large_array_does_not_stay_in_memory(tmp_path):
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(100_000, 32, 32, 3))
    command = [sys.executable, "-c", MEASURE, str(path)]
    found = subprocess.run(command, cwd=conftest.ROOT, capture_output=True, text=True, check=True)
    # The file has 293 MiB.
    assert int(found.stdout) < 50 * 1024


def test_a_command_that_is_none_is_named():
    command = [sys.executable, "-m", "sesemi", "predcit", "x"]
    found = subprocess.run(command, cwd=conftest.ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert "'predcit': no such command; there are train, predict, evaluate, export, label-next, compare" in found.stderr
