"""Somebody's own pictures, from the folder to the next labels, and images from elsewhere, as a user would type it."""

import csv
import dataclasses
import io
import json
import os
import pickle
import shutil
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from sesemi import config, datasets
from sesemi.assembly import materials as materials_of
from sesemi.commands import train
from sesemi.runs import callbacks
from sesemi.runs import run as runner
from tests.datasets.test_datasets import batch
from tests.datasets.test_extra import write_tiny
from tests.messages import refused
from tests.runs.test_run import ROOT, assert_one_line, command

SHORT = {
    "network": "mini",
    "epochs": 2,
    "steps_per_epoch": 4,
    "batch_size": 4,
    "views": 1,
    "gpu": "cpu",
    "image_size": 16,
}
TINY = str(ROOT / "train_evaluate_sesemi_tinyimages.py")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A tree of 40 labeled, 120 unlabeled and 60 test pictures of ten classes with names."""
    root = tmp_path_factory.mktemp("digits")
    content, seen = load_digits(), [0] * 10
    for number, (image, label) in enumerate(zip(content.images[:220], content.target, strict=False)):
        seen[label] += 1
        part = "labeled" if seen[label] <= 4 else "test" if seen[label] <= 10 else "unlabeled"
        folder = root / part if part == "unlabeled" else root / part / f"digit {label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).resize((24, 20)).save(folder / f"{number:03d}.png")
    return root


def run(tmp_path, name, **given):
    given = {
        "dataset": "folder",
        "method": "sesemi",
        **SHORT,
        **given,
        "output": str(tmp_path),
        "quiet": True,
        "name": name,
    }
    return runner.run(*config.resolve(given), say=lambda _: None), tmp_path / name


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in SHORT.items()]
    output = tmp_path_factory.mktemp("runs")
    where = ["--dataset", "folder", "--data-dir", str(digits), "--no-flip", "--output", str(output), "--name", "a"]
    done = command(str(ROOT / "train_evaluate_sesemi.py"), *where, "--method", "mean_teacher", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 labeled, 120 unlabeled, 60 test" in done.stdout
    return output / "a"


def test_a_run_on_a_folder_keeps_the_names(finished, digits):
    results = json.loads((finished / "results.json").read_text())
    names = [f"digit {i}" for i in range(10)]
    assert results["class_names"] == names
    for file in ("model.json", "model_student.json"):
        sidecar = json.loads((finished / file).read_text())
        assert sidecar["class_names"] == names
        assert sidecar["image_shape"] == [16, 16, 3]
    report = (finished / "report.html").read_text()
    assert "digit 7" in report
    assert "40 labeled, 120 unlabeled, 60 test" in report
    # Plain Keras, raw pixels.
    model = keras.models.load_model(finished / "model.keras")
    data = datasets.load("folder", digits, datasets.Reading(side=16))
    wrong = model.predict(data.test_images, verbose=0).argmax(axis=1) != data.test_labels
    assert results["test_error"] == pytest.approx(100 * wrong.mean())


def test_predict_and_evaluate_say_the_same(finished, digits, tmp_path, capsys):
    from sesemi.commands import evaluate, predict

    assert predict.main([str(finished), str(digits / "test"), "--csv", str(tmp_path / "p.csv"), "--gpu", "cpu"]) == 0
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    error = 100 * np.mean([f"/{row['class']}/" not in row["path"] for row in rows])
    results = json.loads((finished / "results.json").read_text())
    assert len(rows) == 60
    assert error == pytest.approx(results["test_error"])
    for place in ([str(digits)], ["folder", "--data-dir", str(digits)]):
        assert evaluate.main([str(finished), *place, "--output", str(tmp_path / "e"), "--gpu", "cpu"]) == 0
        found = json.loads((tmp_path / "e/evaluation.json").read_text())
        assert found["test_error"] == pytest.approx(error)
    capsys.readouterr()


def test_the_next_labels_and_back(finished, digits, tmp_path, capsys):
    from sesemi.commands import label_next

    table = tmp_path / "next.csv"
    for by in label_next.SCORES:
        arguments = [str(finished), "--count", "9", "--by", by, "--csv", str(table), "--gpu", "cpu"]
        assert label_next.main(arguments) == 0
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 9
        assert len({row["path"] for row in rows}) == 9
        assert all((digits / row["path"]).is_file() and row["path"].startswith("unlabeled/") for row in rows)
        assert all(row["label"] == "" and row["guess"].startswith("digit ") for row in rows)
        scores = [float(row["score"]) for row in rows]
        assert scores == sorted(scores, reverse=True)
        assert (tmp_path / "next-pictures.png").read_bytes().startswith(b"\x89PNG")
    for row in rows:
        row["label"] = row["guess"]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, label_next.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    data = datasets.load("folder", digits, datasets.Reading(side=16, labels_file=str(table)))
    assert (data.train_labels >= 0).sum() == 49
    # Labels that somebody filled in are not overwritten.
    capsys.readouterr()
    assert label_next.main(arguments) == 2
    assert "labels are filled in there already" in capsys.readouterr().err
    assert label_next.main([str(tmp_path), "--csv", str(tmp_path / "x.csv")]) == 2
    assert "not the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "a.png,cat\n", "no table of label-next"),
        ("x.csv", "Path,Label\na.png,cat\n", "no table of label-next"),
        ("x.csv", "path;label;guess;probability;score\na.png;cat;cat;1;0\n", "no table of label-next"),
        ("x.csv", "path,label,guess,probability,score\na.png,cat,cat,1,0\n", "filled in there already"),
        ("x.csv", "path,label,guess,probability,score\na.png;cat;cat;1;0\n", "filled in there already"),
        ("x.csv", "", "no table of label-next"),
        ("x-pictures.png", "mine", "x-pictures.png: is there already"),
        ("x.csv/", "", "no table of label-next"),
    ],
)
def test_what_somebody_wrote_is_not_overwritten(finished, tmp_path, capsys, name, content, words):
    from sesemi.commands import label_next

    if name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text(content)
    assert label_next.main([str(finished), "--csv", str(tmp_path / "x.csv"), "--gpu", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    if not name.endswith("/"):
        assert (tmp_path / name).read_text() == content


def test_label_next_on_a_set_whose_labels_are_all_known(tmp_path, capsys):
    from sesemi.commands import label_next

    _, folder = run(tmp_path, "a", dataset="digits", labels=50, **{"image_size": None})
    assert label_next.main([str(folder), "--count", "5", "--by", "disagreement", "--gpu", "cpu"]) == 0
    labeled = json.loads((folder / "split.json").read_text())["labeled"]
    with (folder / "label_next.csv").open(newline="") as file:
        chosen = [int(row["path"]) for row in csv.DictReader(file)]
    assert len(chosen) == 5
    assert not set(chosen) & set(labeled)
    assert "5 of 950 unlabeled images" in capsys.readouterr().out


def test_names_in_pictures_are_cut_and_are_no_formulas(monkeypatch):
    from matplotlib.axes import Axes

    from sesemi.report import pictures

    said, real = [], Axes.text
    monkeypatch.setattr(
        Axes, "text", lambda self, x, y, text, **how: said.append(text) or real(self, x, y, text, **how)
    )
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert pictures.views_grid([("raw", images, [f"{pictures.short('$a$' * 9, 14)} 100 %", "b" * 40])]).startswith(
        b"\x89PNG"
    )
    assert said == [r"\$a\$" * 4 + r"\$… 100 %", "b" * 19 + "…"]


def test_scores_of_what_to_label_next():
    from sesemi.commands import label_next

    probs = np.array([[0.5, 0.5, 0], [0.4, 0.3, 0.3], [1, 0, 0]])
    np.testing.assert_allclose(label_next.worth("margin", probs), [1, 0.9, 0])
    np.testing.assert_allclose(label_next.worth("entropy", probs), [np.log(2), 1.0889, 0], atol=1e-4)
    others = np.array([[0.5, 0.5, 0], [0.4, 0.3, 0.3], [0, 1, 0]])
    np.testing.assert_allclose(label_next.divergence(probs, others), [0, 0, np.log(2)], atol=1e-12)


def identical(one, other):
    assert (one / "log.csv").read_text() == (other / "log.csv").read_text()
    a, b = (np.load(folder / "predictions.npz")["probabilities"] for folder in (one, other))
    np.testing.assert_array_equal(a, b)
    hashes = [json.loads((folder / "results.json").read_text())["data_sha256"] for folder in (one, other)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("method", ["sesemi", "flexmatch"])
def test_what_is_read_while_training_gives_the_same_bits_also_over_an_interruption(digits, tmp_path, stop_at, method):
    strong = {"strong_operations": 0} if method == "flexmatch" else {}
    given = {"data_dir": str(digits), "method": method, "zca": method == "sesemi", **strong}
    _, whole = run(tmp_path, "whole", **given)
    # 220 pictures of 16 x 16 are a sixth of a MiB: nothing smaller can be said with the flag.

    original = materials_of._reading
    stop_at("on_train_batch_end", lambda saver, _: saver.step == 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            materials_of, "_reading", lambda c, quiet: datasets.Reading(side=original(c, quiet=quiet).side, limit=1000)
        )
        with pytest.raises(callbacks.Interrupted, match="after step 5"):
            run(tmp_path, "streamed", **given)
        _, streamed = run(tmp_path, "streamed", **given)
    identical(whole, streamed)


def test_unlabeled_pictures_are_promoted_and_nobody_knows_whether_rightly(digits, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (30, 16, 16, 3)).astype(np.uint8))
    given = {"promote": "balanced", "promote_fraction": 0.5, "data_dir": str(digits), "method": "mean_teacher"}
    found, folder = run(tmp_path, "a", **given, extra_source=f"npy:{tmp_path / 'x.npy'}")
    (record,) = found["promotions"]
    assert record["promoted"] > 0
    assert record["right"] is None
    with (folder / "promoted.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Of the 120 unlabeled pictures, none of the labeled, and none from elsewhere.
    assert {40 <= int(row["index"]) < 160 for row in rows} == {True}


def test_nothing_to_promote_is_said(digits, tmp_path):
    (tmp_path / "root").mkdir()
    shutil.copytree(digits / "labeled", tmp_path / "root/labeled")
    with refused("--promote balanced: every image is labeled"):
        run(tmp_path, "a", data_dir=str(tmp_path / "root"), promote="balanced", method="mean_teacher")


def test_a_picture_that_breaks_while_training_is_named(digits, tmp_path, monkeypatch, capsys):
    """Exit code 3; after it is mended the same command goes on."""
    from sesemi.pipeline import pixels

    original, reads = materials_of._reading, []
    monkeypatch.setattr(
        materials_of, "_reading", lambda c, quiet: datasets.Reading(side=original(c, quiet=quiet).side, limit=1000)
    )
    read = pixels.StreamedPixels._read_now

    def fails_once(self, index):
        reads.append(index)
        if len(reads) == 9:
            self._source = datasets.lazy_images.ImageFiles([tmp_path / "gone.png"] * 500, 16)
        return read(self, index)

    monkeypatch.setattr(pixels.StreamedPixels, "_read_now", fails_once)
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in SHORT.items()]
    where = ["--dataset", "folder", "--data-dir", str(digits), "--output", str(tmp_path), "--name", "a", "--quiet"]
    where += ["--method", "sesemi"]
    assert train.main([*where, *flags]) == 3
    error = capsys.readouterr().err
    assert "gone.png: No such file" in error
    assert len(error.splitlines()) == 1
    assert train.main([*where, *flags]) == 0


def test_extra_images_are_half_of_what_is_unlabeled(digits, tmp_path, rng):
    extra = rng.integers(0, 256, (30, 16, 16, 3)).astype(np.uint8)
    extra[7] = datasets.load("folder", digits, datasets.Reading(side=16)).test_images[3]
    np.save(tmp_path / "x.npy", extra)
    given = {"data_dir": str(digits), "extra_source": f"npy:{tmp_path / 'x.npy'}", "method": "mean_teacher"}
    found, _ = run(tmp_path, "a", **given)
    assert any("29 extra images; 1 more were in the test" in note for note in found["notes"])

    from sesemi.assembly import build

    config_, _ = config.resolve(
        {**SHORT, "dataset": "folder", "method": "sesemi", **given, "name": "a", "steps_per_epoch": None, "zca": True}
    )
    materials = materials_of.gather(config_)
    np.testing.assert_array_equal(materials.extra_pool, np.arange(160, 189))
    np.testing.assert_array_equal(materials.data.train_images[160:], np.delete(extra, 7, axis=0))
    assert not np.isin(materials.extra_pool, materials.pool).any()
    first = next(iter(build.batches(materials, 0, 1)))["unlabeled"].numpy()
    assert (first[1::2] >= 160).all()
    assert (first[::2] < 160).all()
    # Two of four unlabeled images are the folder's own: an epoch shows each of these once.
    whole, _ = config.resolve({"dataset": "cifar10", "method": "sesemi", "extra": 10})
    assert whole.steps_per_epoch is None
    model = build.build_model(materials, fit_whitening=True)
    own = build.preprocess.fit_whitening(materials.data.train_images)
    np.testing.assert_array_equal(model.classifier.preprocess.get_layer("zca").get_weights()[0], own.matrix)


def test_extra_images_that_do_not_fit_are_read_while_training(digits, tmp_path, rng):

    np.save(tmp_path / "x.npy", rng.integers(0, 256, (100, 16, 16, 3)).astype(np.uint8))
    given = {"data_dir": str(digits), "extra_source": f"npy:{tmp_path / 'x.npy'}"}
    _, whole = run(tmp_path, "whole", **given)
    original = materials_of._reading
    with pytest.MonkeyPatch.context() as patch:
        # 220 pictures of the folder are 169 KB, its 160 for training and 100 others 200.
        patch.setattr(
            materials_of,
            "_reading",
            lambda c, quiet: datasets.Reading(side=original(c, quiet=quiet).side, limit=180_000),
        )
        patch.setattr(materials_of, "DevicePixels", None)
        _, streamed = run(tmp_path, "streamed", **given)
    identical(whole, streamed)


def test_extra_images_that_are_in_the_test_are_found_although_it_is_enlarged(tmp_path):

    test = datasets.load("digits").test_images
    np.save(tmp_path / "x.npy", np.concatenate([test[:40], 255 - test[40:50]]))
    given = {"dataset": "digits", "network": "convnet", "extra_source": f"npy:{tmp_path / 'x.npy'}"}
    config_, _ = config.resolve(given)
    data = materials_of.load(config_).data
    assert data.extra == 10
    assert data.train_images.shape[1] > 8
    assert "10 extra images; 40 more were in the test and are left out" in data.notes


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"extra_source": "foo"}, "there is no such source"),
        ({"extra_source": "npy:none.npy"}, "there is no file none.npy"),
        ({"extra_source": "folder:none"}, "there is no folder none"),
        ({"extra_source": "imagenet32:none"}, "there is no folder none"),
        ({"extra_source": "tiny-images:none", "extra": 5}, "there is no file none/tiny_images.bin"),
        ({"extra_source": "npy:x.npy", "extra": 31}, "--extra 31 are more than the 30 images"),
        ({"labels_from": "none.txt"}, "--labels-from none.txt: cannot be read"),
    ],
)
def test_what_is_missing_is_said_before_pictures_are_looked_at(digits, tmp_path, monkeypatch, given, words):

    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((30, 16, 16, 3), np.uint8))
    monkeypatch.setattr(datasets.image_files, "decode", None)
    config_, _ = config.resolve({"dataset": "folder", "method": "sesemi", "data_dir": str(digits), **SHORT, **given})
    with refused(words):
        materials_of.load(config_)


def test_a_run_with_a_table_is_evaluated_on_what_it_set_aside(digits, tmp_path, capsys):
    from sesemi.commands import evaluate

    root = tmp_path / "root"
    for part in ("labeled", "unlabeled"):
        shutil.copytree(digits / part, root / part)
    content = load_digits().target
    with open(tmp_path / "more.csv", "w", newline="") as file:
        rows = [
            (f"unlabeled/{path.name}", f"digit {content[int(path.stem)]}") for path in (root / "unlabeled").iterdir()
        ]
        csv.writer(file).writerows(rows[:60])
    given = {"data_dir": str(root), "labels_file": str(tmp_path / "more.csv"), "method": "supervised"}
    found, folder = run(tmp_path, "a", **given)
    capsys.readouterr()
    for flags in ([], ["--data-dir", str(root)], ["--data-dir", str(root), "--labels-file", given["labels_file"]]):
        assert evaluate.main([str(folder), "folder", *flags, "--gpu", "cpu"]) == 0
        assert "warning" not in capsys.readouterr().err
        text = (folder / "evaluation-folder/evaluation.json").read_text()
        assert json.loads(text)["confusion_matrix"] == found["confusion_matrix"]
    # Elsewhere, without the table, other pictures are set aside; with it, the same.
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    for more, changed in (([], True), (["--labels-file", given["labels_file"]], False)):
        assert evaluate.main([str(folder), "folder", "--data-dir", str(moved), *more, "--gpu", "cpu"]) == 0
        assert ("warning: these are not the pictures and labels of the run" in capsys.readouterr().err) == changed
    # One label more, and all pictures as they were.
    with open(given["labels_file"], "a", newline="") as file:
        csv.writer(file).writerow(rows[100])
    assert evaluate.main([str(folder), "folder", "--gpu", "cpu"]) == 0
    assert "warning: these are not" in capsys.readouterr().err
    # A test of its own is nothing that was set aside.
    shutil.copytree(digits / "test", moved / "test")
    assert evaluate.main([str(folder), "folder", "--data-dir", str(moved), "--gpu", "cpu"]) == 0
    assert "warning" not in capsys.readouterr().err
    # Settings of another version say nothing, and are said to.
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"memory_limit"', '"memory_bound"'))
    assert evaluate.main([str(folder), "folder", "--data-dir", str(moved), "--gpu", "cpu"]) == 0
    assert "config.json or results.json cannot be used" in capsys.readouterr().err


def test_a_finished_run_on_other_pictures_is_not_taken_for_this_one(digits, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(digits, root)
    (root / "unlabeled/bad.png").write_text("hello")
    known = min((root / "labeled/digit 1").iterdir())
    (tmp_path / "x.csv").write_text(f"{known.relative_to(root)},digit 1\n")
    given = {"data_dir": str(root), "labels_file": str(tmp_path / "x.csv"), "method": "supervised"}
    found, folder = run(tmp_path, "a", **given)
    with open(folder / "left_out.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == "unlabeled/bad.png"
    assert row["why"].startswith("broken: neither")
    assert run(tmp_path, "a", **given)[0] == found
    # Other times alone are no change, and neither is a picture that this program has made.
    one, other = root / "unlabeled/one.png", sorted((root / "unlabeled").glob("1*.png"))[0]
    os.utime(other)
    (root / "unlabeled/preview.png").write_bytes((folder / "views.png").read_bytes())
    assert run(tmp_path, "a", **given)[0] == found
    kept = other.read_bytes()
    changed = bytearray(kept)
    changed[-20] ^= 1
    other.write_bytes(changed)
    with refused("is finished, and its pictures or labels have changed since"):
        run(tmp_path, "a", **given)
    # A run of an early version has no hash of what is in the files.
    old = {name: value for name, value in found.items() if name not in ("files_contents_sha256", "files_times_sha256")}
    (folder / "results.json").write_text(json.dumps(old))
    assert run(tmp_path, "a", **given)[0] == old
    other.write_bytes(b"shorter")
    with refused("have changed since, or this version reads other files than that of the run"):
        run(tmp_path, "a", **given)
    (folder / "results.json").write_text(json.dumps(found))
    other.write_bytes(kept)
    assert run(tmp_path, "a", **given)[0] == found
    other.rename(one)
    with refused("is finished, and its pictures or labels have changed since"):
        run(tmp_path, "a", **given)
    one.rename(root / "labeled/digit 1/new.png")
    with refused("is finished, and its pictures or labels have changed since"):
        run(tmp_path, "a", **given)
    with refused("made for other images"):
        run(tmp_path, "b", **given, labels_from=str(folder / "split.json"))
    # The results stay although the pictures are gone.
    shutil.rmtree(root)
    assert run(tmp_path, "a", **given)[0] == found


def test_a_run_that_is_refused_leaves_the_list_of_what_was_left_out(digits, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(digits, root)
    for path in (root / "labeled/digit 3").iterdir():
        path.write_bytes(b"")
    (root / "labeled/digit 3/x.png").symlink_to("nowhere")
    with refused(r"class digit 3 has no labeled.*: 5 left out: .* and 2 more; .*; all that is left out is in .*"):
        run(tmp_path, "a", data_dir=str(root), method="supervised")
    assert sorted(path.name for path in (tmp_path / "a").iterdir() if not path.name.startswith(".")) == ["left_out.csv"]
    with open(tmp_path / "a/left_out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows if row["why"].startswith("passed over: links")] == ["labeled/digit 3/x.png"]
    assert sum(row["why"].startswith("broken: ") for row in rows) == 4
    with refused("--strict: .*4 broken, left out.*; all that is left out is in .*b/left_out.csv"):
        run(tmp_path, "b", data_dir=str(root), method="supervised", strict=True)
    # A run that begins there afterwards has its own list, or none.
    from sesemi.runs.folder import RunFolder

    RunFolder(tmp_path / "a").write_left_out(())
    assert not (tmp_path / "a/left_out.csv").exists()


def test_evaluations_of_folders_of_one_name_lie_beside_each_other(finished, digits, tmp_path):
    from sesemi.commands import evaluate

    shutil.copytree(finished, tmp_path / "run")
    places = [digits / "test", tmp_path / "other/test"]
    shutil.copytree(places[0], places[1])
    for place in [*places, *places]:
        assert evaluate.main([str(tmp_path / "run"), str(place), "--gpu", "cpu"]) == 0
    names = sorted(path.name for path in (tmp_path / "run").glob("evaluation*"))
    assert names == ["evaluation-test", "evaluation-test-2"]
    for name, place in zip(names, places, strict=True):
        assert json.loads((tmp_path / "run" / name / "evaluation.json").read_text())["dataset"] == str(place)


def test_labels_and_extra_images_are_part_of_the_hash_of_the_data(digits, tmp_path, rng):
    extra = rng.integers(0, 256, (30, 16, 16, 3)).astype(np.uint8)
    np.save(tmp_path / "x.npy", extra)
    how = datasets.Reading(side=16)
    data = datasets.load("folder", digits, how)
    more = datasets.with_extra(data, f"npy:{tmp_path / 'x.npy'}", None, 0, how)
    np.testing.assert_array_equal(more.digests, datasets.image_files.digests(more.train_images))
    labels = data.train_labels.copy()
    labels[0] = 1 - labels[0]
    others = [data, dataclasses.replace(data, train_labels=labels), more]
    assert len({other.sha256() for other in others}) == 3


def test_a_folder_whose_name_is_no_text(digits, tmp_path, monkeypatch, capsys):
    place = os.fsdecode(bytes(tmp_path) + b"/caf\xe9")
    shutil.copytree(digits, place)
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in SHORT.items()]
    where = ["--dataset", "folder", "--data-dir", place, "--output", str(tmp_path / "runs"), "--name", "a"]
    # As most terminals are.
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict"))
    assert train.main([*where, *flags, "--method", "supervised"]) == 0
    sys.stdout.flush()
    assert "caf\\udce9, 40 labeled" in sys.stdout.buffer.getvalue().decode()
    assert "caf\\udce9" in (tmp_path / "runs/a/report.html").read_text(encoding="utf-8")
    assert (tmp_path / "runs/a/results.json").exists()


@pytest.fixture(scope="module")
def cifar100(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar100")
    for name, count in (("train", 200), ("test", 100)):
        content = batch(count, 100, count, "fine_labels") | {"coarse_labels": [0] * count}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def test_the_script_with_tiny_images(cifar100, tmp_path):
    write_tiny(tmp_path / "tiny")
    flags = ["--network", "convnet", "--gpu", "cpu", "--data-dir", str(cifar100), "--output", str(tmp_path / "runs")]
    source = ["--extra", "10", "--extra-source", f"tiny-images:{tmp_path / 'tiny'}"]
    short = ["--epochs", "1", "--batch-size", "4", "--views", "1"]
    done = command(TINY, *flags, *source, *short, "--steps-per-epoch", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("withdrawn by its authors in June 2020") == 1
    assert "200 labeled and 200 and 10 extra in the other pool, convnet; 1 epochs x 2 steps x 48 images" in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    settings, _ = config.from_json((folder / "config.json").read_text())
    assert (settings.dataset, settings.labels, settings.zca, settings.flip) == (
        "cifar100",
        "all",
        True,
        True,
    )


def test_the_script_of_2019_has_its_defaults_and_networks(cifar100, tmp_path):
    done = command(TINY, "--network", "nin", "--extra", "10")
    assert_one_line(done, "--network nin", "convnet, wrn")
    done = command(TINY, "--extra", "10", "--extra-source", f"tiny-images:{tmp_path}", "--data-dir", str(cifar100))
    assert_one_line(done, "tiny_images.bin")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dataset": "digits", "image_size": 40}, "--image-size 40: of use only with --dataset folder or"),
        ({"dataset": "tfds:dtd", "labels_file": "x"}, "--labels-file x: of use only with --dataset folder"),
        ({"dataset": "tfds:"}, "choose from digits"),
        ({"method": "supervised", "extra": 5}, "--extra: supervised never sees an unlabeled image"),
        ({"method": "asl", "extra_source": "npy:x"}, "--extra-source: asl never"),
        ({"extra": 5, "batch_size": 15}, "--batch-size 15: half of it are extra images"),
        ({"dataset": "folder", "labels_per_class": 4}, "give --labels N"),
        ({"dataset": "folder", "labels": 1}, "at least one image of each class"),
        ({"dataset": "folder", "image_size": 4}, "--image-size 4: must lie from 8"),
        ({"dataset": "folder", "memory_limit": 0}, "--memory-limit 0"),
    ],
)
def test_settings_that_do_not_go_together(given, words):
    with refused(words):
        config.resolve(given)


def test_large_images_are_not_whitened(digits, tmp_path):
    with refused("--zca: images of 96 x 96 are too large"):
        run(tmp_path, "a", data_dir=str(digits), zca=True, image_size=96)
    assert not (tmp_path / "a").exists()
    with refused("--image-size 8: --network convnet needs"):
        run(tmp_path, "b", data_dir=str(digits), network="convnet", image_size=8)


def test_the_settings_of_a_run_find_its_folder_again(finished, digits):
    settings, origins = config.read_settings(finished / "config.json", {})
    assert (settings["dataset"], settings["data_dir"], origins["data_dir"]) == ("folder", str(digits), "user")
    for instead in ({"data_dir": "elsewhere"}, {"dataset": "digits"}):
        assert "data_dir" not in config.read_settings(finished / "config.json", instead)[0]


def test_names_of_runs_tell_folders_apart(digits):
    name = config.resolve({"dataset": "folder", "data_dir": f"{digits}/"})[0].name
    assert name.startswith(digits.name)
    assert config.resolve({"dataset": "tfds:imagenet_resized/8x8"})[0].name.startswith("tfds-imagenet_resized-8x8-all")
    assert config.resolve({"dataset": "cifar10", "extra": 500})[0].name.split("-")[5] == "extra500"
