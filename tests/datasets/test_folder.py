"""A person's own folder: what is read, and every fault that is found and said."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sesemi import datasets
from sesemi.datasets.base import Reading, held_out
from sesemi.datasets.folder_state import FolderState
from tests.messages import refused

SIDE = 8


@pytest.fixture
def root(tmp_path, rng):
    """Two classes of five, a third of four, six unlabeled, a test and a validation part; all pictures different."""
    for name, count in {
        "labeled/cat": 5,
        "labeled/dog": 5,
        "labeled/sea horse": 4,
        "unlabeled/june/a": 3,
        "unlabeled": 3,
        "test/cat": 2,
        "test/dog": 2,
        "validation/cat": 1,
    }.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            write(tmp_path / name / f"{i}.png", rng)
    return tmp_path


def write(path, rng):
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(path)


def load(root, **how):
    return datasets.load("folder", root, Reading(side=SIDE, **how))


def sizes(root, table=None):
    return FolderState(Path(root), table).sizes


def of_paths(data):
    return dict(zip(data.paths, data.train_labels.tolist(), strict=True))


def test_a_whole_tree(root):
    data = load(root)
    assert data.class_names == ("cat", "dog", "sea horse")
    assert data.train_images.shape == (21, SIDE, SIDE, 3)
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    assert np.bincount(data.train_labels + 1).tolist() == [6, 6, 5, 4]
    assert data.validation.tolist() == [20]
    assert data.paths[20] == "validation/cat/0.png"
    assert of_paths(data)["unlabeled/june/a/2.png"] == -1
    assert not data.test_held_out
    where = data.paths.index("labeled/dog/3.png")
    np.testing.assert_array_equal(data.train_images[where], np.asarray(Image.open(root / "labeled/dog/3.png")))
    assert any("14 labeled, 6 unlabeled, 1 validation, 4 test" in note for note in data.notes)


def test_what_does_not_fit_is_read_when_asked(root):
    whole, lazy = load(root), load(root, limit=100)
    assert not isinstance(lazy.train_images, np.ndarray)
    np.testing.assert_array_equal(lazy.train_images[:], whole.train_images)
    np.testing.assert_array_equal(lazy.test_images[:], whole.test_images)
    np.testing.assert_array_equal(lazy.digests, whole.digests)
    assert lazy.paths == whole.paths


def test_without_a_test_some_are_set_aside_and_stay_aside(root, rng):
    for path in (root / "test").rglob("*.png"):
        path.unlink()
    data = load(root)
    assert data.test_held_out
    assert np.bincount(data.test_labels).tolist() == [1, 1, 1]
    assert any("set aside as the test" in note for note in data.notes)
    everything = {tuple(image.ravel()) for image in data.test_images}
    assert not everything & {tuple(image.ravel()) for image in data.train_images}
    write(root / "unlabeled/new.png", rng)
    np.testing.assert_array_equal(load(root).test_images, data.test_images)


def test_who_is_held_out():
    labels = ["a"] * 10 + ["b"] * 2 + ["c"]
    keys = [str(i) for i in range(13)]
    chosen = held_out(labels, keys)
    assert chosen[:10].sum() == 2
    assert chosen[10:12].sum() == 1
    assert not chosen[12]
    backwards = held_out(labels[::-1], keys[::-1])[::-1]
    np.testing.assert_array_equal(backwards, chosen)


def test_broken_files_are_left_out_or_an_error(root):
    (root / "labeled/cat/1.png").write_bytes(b"")
    (root / "unlabeled/2.png").write_text("hello")
    data = load(root)
    (note,) = [note for note in data.notes if "broken, left out" in note]
    assert note.startswith("2 broken, left out")
    assert "labeled/cat/1.png" in note
    assert len(data.train_images) == 19
    with refused(r"--strict.*2 broken.*labeled/cat/1.png"):
        load(root, strict=True)


def test_the_same_picture_in_two_classes(root):
    (root / "labeled/dog/0.png").write_bytes((root / "labeled/cat/0.png").read_bytes())
    data = load(root)
    assert any("2 the same picture in several classes" in note and "cat, dog" in note for note in data.notes)
    assert "labeled/cat/0.png" not in data.paths
    assert "labeled/dog/0.png" not in data.paths
    with pytest.raises(ValueError, match="several classes"):
        load(root, strict=True)


@pytest.mark.parametrize("where", ["test/dog", "validation/dog"])
def test_the_same_picture_in_one_class_here_and_another_there(root, where):
    (root / where).mkdir(exist_ok=True)
    copy, whole = root / where / "9.png", load(root)
    copy.write_bytes((root / "labeled/cat/0.png").read_bytes())
    (root / "unlabeled/copy.png").write_bytes(copy.read_bytes())
    data = load(root)
    assert any("2 the same picture in several classes" in note and f"{where}/9.png" in note for note in data.notes)
    # Without a label it may stay: no test has it any more.
    assert set(data.paths) == set(whole.paths) - {"labeled/cat/0.png"} | {"unlabeled/copy.png"}
    np.testing.assert_array_equal(data.test_images, whole.test_images)


def test_a_picture_of_two_classes_is_in_no_test_that_is_set_aside(root):
    shutil.rmtree(root / "test")
    for i in range(5):
        (root / f"labeled/dog/copy{i}.png").write_bytes((root / f"labeled/cat/{i}.png").read_bytes())
    for i in range(5):
        Image.fromarray(np.full((SIDE, SIDE, 3), i, np.uint8)).save(root / f"labeled/cat/plain{i}.png")
    data = load(root)
    assert any("10 the same picture in several classes" in note for note in data.notes)
    seen = {image.tobytes() for image in data.test_images}
    assert not seen & {np.asarray(Image.open(root / f"labeled/cat/{i}.png")).tobytes() for i in range(5)}
    assert len(data.train_images) + len(data.test_images) == 5 + 5 + 4 + 6 + 1


def test_training_pictures_that_are_in_the_validation(root):
    Image.open(root / "validation/cat/0.png").save(root / "unlabeled/0.bmp")
    (root / "labeled/cat/0.png").write_bytes((root / "validation/cat/0.png").read_bytes())
    data = load(root)
    assert any("2 training pictures that are in the validation too" in note for note in data.notes)
    assert not {"unlabeled/0.bmp", "labeled/cat/0.png"} & set(data.paths)
    assert data.paths[data.validation[0]] == "validation/cat/0.png"


def test_a_picture_of_the_validation_that_is_in_the_test_is_left_out(root):
    (root / "test/cat/9.png").write_bytes((root / "validation/cat/0.png").read_bytes())
    data = load(root)
    assert any("1 training pictures that are in the test too" in note for note in data.notes)
    assert len(data.validation) == 0
    assert len(data.test_images) == 5


def test_classes_are_counted_and_slips_shown(root, rng):
    assert "3 classes: cat (5), dog (5), sea horse (4)" in load(root).notes
    (root / "labeled/Cat").mkdir()
    write(root / "labeled/Cat/0.png", rng)
    assert (
        "4 classes: Cat (1), cat (5), dog (5), sea horse (4); the same except for capitals: Cat, cat"
        in load(root).notes
    )
    for number in range(20):
        (root / f"labeled/more {number}").mkdir()
        write(root / f"labeled/more {number}/0.png", rng)
    assert any(
        note.startswith("24 classes: 1 to 5 labeled pictures each; the same except") for note in load(root).notes
    )


def test_everything_that_is_left_out_is_listed(root):
    for number in range(5):
        (root / f"unlabeled/bad{number}.png").write_text("hello")
    (root / "labeled/cat/copy.png").write_bytes((root / "test/cat/0.png").read_bytes())
    found = load(root)
    assert [path for path, _ in found.left_out] == [
        *(f"unlabeled/bad{i}.png" for i in range(5)),
        "labeled/cat/copy.png",
    ]
    assert found.left_out[0][1].startswith("broken: neither JPEG")
    assert found.left_out[-1][1] == "training pictures that are in the test too: as test/cat/0.png"


def test_what_a_user_can_change_is_seen_without_decoding(root, tmp_path_factory):
    table = tmp_path_factory.mktemp("table") / "x.csv"
    table.write_text("unlabeled/0.png,cat\n")
    seen = [sizes(root), sizes(root, str(table))]
    assert seen[0] == sizes(f"{root}/")
    table.write_text("unlabeled/0.png,dog\n")
    seen.append(sizes(root, str(table)))
    (root / "unlabeled/0.png").rename(root / "labeled/cat/new.png")
    seen.append(sizes(root))
    assert len(set(seen)) == 4
    assert sizes(root / "gone") is None


def test_pictures_that_a_run_left_are_none(flat):
    rows = [[f"in/{i}.png", "ab"[i % 2]] for i in range(4)]
    given = {"labels_file": str(table(flat, rows))}
    before, look = load(flat, **given).paths, sizes(flat)
    for place in ("runs/a", "runs/a/evaluation-test"):
        (flat / place).mkdir(parents=True)
        (flat / place / "confusion.png").write_bytes((flat / "in/0.png").read_bytes())
    for name in ("config.json", "split.json"):
        (flat / "runs/a" / name).write_text("{}")
    assert load(flat, **given).paths == before
    assert sizes(flat) == look


def test_hidden_files_are_none(root):
    (root / "labeled/._0.png").write_bytes(b"")
    (root / "labeled/cat/._0.png").write_bytes(b"")
    assert len(load(root, strict=True).paths) == 21


def test_the_same_picture_twice_in_one_class_stays(root):
    (root / "labeled/cat/9.png").write_bytes((root / "labeled/cat/0.png").read_bytes())
    assert len(load(root, strict=True).train_images) == 22


@pytest.mark.parametrize("where", ["labeled/cat", "unlabeled", "validation/cat"])
def test_training_pictures_that_are_in_the_test(root, where):
    # Other bytes, the same pixels.
    Image.open(root / "test/cat/0.png").save(root / where / "0.bmp")
    data = load(root)
    assert f"{where}/0.bmp" not in data.paths
    assert any(
        "1 training pictures that are in the test too" in note and f"{where}/0.bmp" in note for note in data.notes
    )
    with pytest.raises(ValueError, match="in the test too"):
        load(root, strict=True)


def test_other_kinds_of_files_are_counted(root):
    (root / "labeled/cat/x.psd").write_bytes(b"")
    assert any("1 .psd" in note for note in load(root).notes)


def fault(root, words, **how):
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        load(root, **how)
    assert "\n" not in str(error.value)


def test_an_empty_class_one_class_and_none(root):
    (root / "labeled/empty").mkdir()
    fault(root, "class empty has no labeled picture")
    (root / "labeled/empty").rmdir()
    for name in ("dog", "sea horse"):
        (root / "labeled" / name).rename(root / f"unlabeled/{name}")
    fault(root, r"one class only \(cat\)")
    (root / "labeled/cat").rename(root / "unlabeled/cat")
    fault(root, "no labeled picture")


def test_trees_that_are_none(root):
    fault(root / "labeled/cat/0.png", "no such folder")
    (root / "test/circle").symlink_to(root / "test/circle")
    fault(root / "test", "no labeled/ in it; it has cat, dog")
    fault(None, "`data_dir` is needed")
    (root / "labeled/lost.png").write_bytes(b"")
    fault(root, "labeled/lost.png lies in no class folder")


def test_a_class_of_the_test_that_has_no_labels(root, rng):
    (root / "test/bird").mkdir()
    write(root / "test/bird/0.png", rng)
    fault(root, "test/bird/0.png: no labeled picture is of class bird; labeled are cat, dog, sea horse")
    (root / "test/bird").rename(root / "test/sea horses")
    fault(root, "of class sea horses; did you mean sea horse. labeled are")


def test_no_picture_to_set_aside(tmp_path, rng):
    for name in ("a", "b"):
        (tmp_path / "labeled" / name).mkdir(parents=True)
        write(tmp_path / f"labeled/{name}/0.png", rng)
    fault(tmp_path, "no class has two labeled pictures")


def table(root, rows):
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root / "labels.csv"


@pytest.fixture
def flat(tmp_path, rng):
    (tmp_path / "in/deep").mkdir(parents=True)
    for i in range(6):
        write(tmp_path / f"in/{i}.png", rng)
        write(tmp_path / f"in/deep/{i},x.png", rng)
    return tmp_path


def test_a_table_over_a_folder_that_has_test_pictures_without_classes(flat, rng):
    rows = [[f"in/{i}.png", "ab"[i % 2]] for i in range(4)]
    (flat / "test").mkdir()
    write(flat / "test/0.png", rng)
    data = load(flat, labels_file=str(table(flat, rows)))
    assert of_paths(data)["test/0.png"] == -1
    (flat / "labeled/a").mkdir(parents=True)
    fault(flat, "test/0.png lies in no class folder", labels_file=str(table(flat, rows)))


def test_what_a_table_was_read_as_is_said(root):
    rows = [["unlabeled/0.png", "-1.0"], ["unlabeled/1.png", "dog "], ["unlabeled\\2.png", "nan"]]
    rows += [["unlabeled/june/a/0", "sea horse"], ["unlabeled/june/a/1.png", "bird"]]
    data = load(root, labels_file=str(table(root, rows)))
    assert data.class_names == ("bird", "cat", "dog", "sea horse")
    labels = of_paths(data)
    assert labels["unlabeled/0.png"] == labels["unlabeled/2.png"] == -1
    for note in (
        r"labels.csv: 2 paths read as: 'unlabeled\\2.png' as 'unlabeled/2.png', "
        "'unlabeled/june/a/0' as 'unlabeled/june/a/0.png'",
        "labels.csv: 2 lines without a label (-1.0, nan)",
        "labels.csv: new class with 1 labels: 'bird' is no class so far",
    ):
        assert note in data.notes, data.notes


def test_a_table_over_any_folder(flat):
    rows = [[f"in/{i}.png", "ab"[i % 2]] for i in range(4)]
    rows += [["in/4.png", ""], ["in/5.png", "-1"], ["in/deep/0,x.png", "b"], [str(flat / "in/deep/1,x.png"), "a"]]
    for given in (rows, [["path", "label"], *rows], [["score", "Label", "path"], *([1, b, a] for a, b in rows)]):
        data = load(flat, labels_file=str(table(flat, given)))
        assert data.class_names == ("a", "b")
        assert data.test_held_out
        labels = of_paths(data)
        assert len(labels) == 10
        assert sum(label >= 0 for label in labels.values()) == 4
        assert labels["in/4.png"] == labels["in/5.png"] == labels["in/deep/5,x.png"] == -1


def test_a_table_adds_to_the_folders(root):
    before = of_paths(load(root))
    given = table(root, [["unlabeled/0.png", "dog"], ["unlabeled/1.png", "bird"], ["labeled/cat/0.png", "cat"]])
    data = load(root, labels_file=str(given))
    assert data.class_names == ("bird", "cat", "dog", "sea horse")
    after = of_paths(data)
    assert data.class_names[after["unlabeled/0.png"]] == "dog"
    assert after["unlabeled/2.png"] == before["unlabeled/2.png"] == -1
    assert sum(label >= 0 for label in after.values()) == sum(label >= 0 for label in before.values()) + 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["labeled/cat/0.png", "dog"]], "line 1: labeled/cat/0.png is dog here and cat elsewhere"),
        ([["unlabeled/0.png", "dog"], ["unlabeled/./0.png", "cat"]], "line 2: unlabeled/./0.png is cat here and dog"),
        ([["nothing.png", "dog"]], "line 1: there is no file"),
        ([["unlabeled/0.png"]], "line 1 is not path,label"),
        ([["unlabeled/0.png", "dogg"]], "line 1: 'dogg' is no class so far; did you mean 'dog'.; if it is a new class"),
        ([["unlabeled/0.png", ""], [",", ""]], "no label is filled in: the column 'label' is empty in all 1 lines"),
        ([["unlabeled/0.png", "d" * 300]], "line 1: a label of 300 letters; at most 255"),
        ([["0", "dog"]], "line 1: there is no file"),
        ([["filename", "label"], ["unlabeled/0.png", "dog"]], "if the line is a header, it must be path,label"),
        ([["unlabeled/0.png", "dog"], ["x\0.png", "dog"]], "it has zero bytes, so it is no text"),
        ([["path", "class"], ["unlabeled/0.png", "dog"]], "no column 'label'"),
        ([["test/cat/0.png", "dog"]], "is dog here and cat elsewhere"),
    ],
)
def test_tables_that_contradict(root, rows, words):
    fault(root, words, labels_file=str(table(root, rows)))
    fault(root, "none.csv: cannot be read", labels_file=str(root / "none.csv"))


def test_pictures_of_this_program_are_no_data(root):
    from sesemi.report import pictures

    before, look = load(root), sizes(root)
    grid = pictures.views_grid([("raw", np.zeros((2, SIDE, SIDE, 3), np.uint8))])
    for name in ("unlabeled/preview.png", "labeled/cat/sheet-pictures.png", "labeled/comparison.png", "views.png"):
        (root / name).write_bytes(grid)
    data = load(root, strict=True)
    assert data.paths == before.paths
    assert data.sha256() == before.sha256()
    assert sizes(root) == look
    assert any(
        note.startswith("passed over: 4 pictures of this program: labeled/comparison.png") for note in data.notes
    )
    assert ("views.png", "passed over: pictures of this program") in data.left_out


def test_folders_of_machines_hidden_ones_and_runs_are_no_data(root):
    before = load(root)
    for name in ("labeled/@eaDir", "labeled/cat/__MACOSX", "test/$RECYCLE.BIN", "labeled/.secret", "unlabeled/runs/a"):
        (root / name).mkdir(parents=True)
        shutil.copy(root / "unlabeled/0.png", root / name)
    for name in ("config.json", "split.json"):
        (root / "unlabeled/runs/a" / name).write_text("{}")
    data = load(root, strict=True)
    assert data.paths == before.paths
    assert data.class_names == before.class_names
    for words in ("3 folders of machines: labeled/@eaDir", "1 hidden folders", "1 folders of runs: unlabeled/runs/a"):
        assert any(words in note for note in data.notes), words


def test_one_rule_for_links(root, tmp_path_factory, rng):
    other, before = tmp_path_factory.mktemp("other"), load(root)
    for i in range(2):
        write(other / f"{i}.png", rng)
    (root / "labeled/ape").symlink_to(other)
    (root / "unlabeled/more").symlink_to(other.parent / other.name)
    (root / "unlabeled/loop").symlink_to(root / "unlabeled")
    data = load(root)
    assert data.class_names == ("ape", *before.class_names)
    assert {"labeled/ape/0.png", "labeled/ape/1.png", "unlabeled/more/0.png", "unlabeled/more/1.png"} <= set(data.paths)
    assert any("1 links to folders that are read anyway" in note and "unlabeled/loop" in note for note in data.notes)


def test_links_between_classes_are_no_way_to_lose_a_contradiction(root):
    (root / "labeled/Hund").symlink_to(root / "labeled/dog")
    (root / "labeled/dog ").symlink_to(root / "labeled/dog")
    (root / "labeled/around").symlink_to(root)
    look = sizes(root)
    with refused("class Hund has no labeled picture to train on: 5 left out: labeled/Hund/0.png .the same"):
        load(root)
    (root / "labeled/Hund").unlink()
    assert sizes(root) != look
    data = load(root)
    assert data.class_names == ("cat", "dog", "sea horse")
    assert np.bincount(data.train_labels[data.train_labels >= 0]).tolist() == [6, 5, 4]
    (note,) = [note for note in data.notes if "read anyway" in note]
    assert note.endswith("this one: labeled/around, labeled/dog ")


def test_a_circle_of_links_or_a_device_costs_one_picture_and_not_the_folder(root):
    (root / "labeled/cat/1.png").unlink()
    (root / "labeled/cat/1.png").symlink_to(root / "labeled/cat/1.png")
    (root / "labeled/dog/x.png").symlink_to("/dev/zero")
    (root / "unlabeled/gone.jpg").symlink_to(root / "nothing")
    data = load(root)
    assert len(data.train_images) == 20
    assert data.left_out == (
        ("labeled/cat/1.png", "passed over: links that lead nowhere or in a circle"),
        ("unlabeled/gone.jpg", "passed over: links that lead nowhere or in a circle"),
        ("labeled/dog/x.png", "passed over: devices, pipes or sockets with names of pictures"),
    )
    with refused(r"--strict.*2 links that lead nowhere or in a circle: labeled/cat/1.png.*1 devices"):
        load(root, strict=True)


def test_pictures_beside_the_four_folders_are_counted(root, rng):
    (root / "train/cat").mkdir(parents=True)
    write(root / "train/cat/0.png", rng)
    write(root / "lost.png", rng)
    (note,) = [note for note in load(root).notes if "outside" in note]
    assert (
        note == "passed over: 2 pictures outside of labeled/, unlabeled/, validation/, test/: lost.png, train/cat/0.png"
    )


def test_endings_that_cameras_and_browsers_write(root, rng):
    image = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8))
    for name, kind in {"a.jfif": "JPEG", "b.JPE": "JPEG", "c": "PNG", "d.TIF": "TIFF", "e.Tiff": "TIFF"}.items():
        image.save(root / "labeled/cat" / name, kind)
        image = image.transpose(Image.Transpose.ROTATE_90)
    assert {f"labeled/cat/{name}" for name in ("a.jfif", "b.JPE", "c", "d.TIF", "e.Tiff")} <= set(load(root).paths)


def test_names_that_are_the_same_but_for_accents_or_space_are_one_class(root, rng):
    for part, name in (
        ("labeled", "caf\xe9"),
        ("labeled", "cafe\u0301"),
        ("test", "cafe\u0301 "),
        ("labeled", "cat "),
        ("validation", "dog "),
    ):
        (root / part / name).mkdir(exist_ok=True)
        write(root / part / name / f"x{len(name)}.png", rng)
    given = table(root, [["unlabeled/0.png", "cafe\u0301 "], ["unlabeled/1.png", "dog"]])
    data = load(root, labels_file=str(given))
    assert data.class_names == ("caf\xe9", "cat", "dog", "sea horse")
    assert np.bincount(data.train_labels + 1).tolist() == [4, 3, 7, 7, 4]
    assert np.bincount(data.test_labels).tolist() == [1, 2, 2]
    (note,) = [note for note in data.notes if "taken for one class" in note]
    assert note.endswith("'cafe\u0301', 'caf\xe9'; 'cat', 'cat '")


def test_a_table_finds_a_file_whatever_the_form_of_its_accents(root, rng):
    write(root / "unlabeled/cafe\u0301.png", rng)
    write(root / "unlabeled/both\xe9.png", rng)
    write(root / "unlabeled/bothe\u0301.png", rng)
    rows = [["unlabeled/caf\xe9.png", "dog"], ["unlabeled/both\xe9.png", "cat"]]
    labels = of_paths(load(root, labels_file=str(table(root, rows))))
    assert labels["unlabeled/cafe\u0301.png"] == 1
    assert labels["unlabeled/both\xe9.png"] == 0
    assert labels["unlabeled/bothe\u0301.png"] == -1


def test_a_class_that_is_empty_says_why(root, rng):
    for path in (root / "labeled/dog").iterdir():
        path.write_bytes(b"")
    with refused(r"class dog has no labeled picture to train on: 5 left out: labeled/dog/0.png \(broken: ") as error:
        load(root)
    assert len(error.value.left_out) == 5
    shutil.rmtree(root / "labeled/dog")
    (root / "labeled/dog").mkdir()
    for i in range(3):
        (root / f"labeled/dog/{i}.heic").write_bytes(b"")
    with refused("class dog has no labeled picture to train on: of other kinds, not read: 3 .heic"):
        load(root)
    (root / "labeled/dog/0.heic").unlink()
    (root / "labeled/dog/x.png").symlink_to("nowhere")
    with refused(r"1 left out: labeled/dog/x.png \(passed over: links that lead.*; of other kinds, not read: 2 .heic"):
        load(root)
    shutil.rmtree(root / "test")
    names = ["labeled/dog/0.png", "labeled/dog/1.png"]
    for name, in_test in zip(names, held_out(["dog"] * 2, names), strict=True):
        write(root / name, rng)
        (root / name).write_bytes((root / name).read_bytes() if in_test else b"")
    with refused("class dog has no labeled picture to train on: 2 left out: .*; 1 set aside as the test; add some"):
        load(root)


def test_a_test_that_is_empty_says_why(root):
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(b"")
    with refused(r"no whole picture is left in the test: 4 left out: test/cat/0.png \(broken: .* and 1 more; add some"):
        load(root)


def test_pictures_that_are_too_large_are_named_as_such(root, monkeypatch):
    from sesemi.datasets import memory_bound

    Image.new("RGB", (300, 300)).save(root / "unlabeled/large.png")
    monkeypatch.setattr(memory_bound, "memory", memory_bound.Memory(2**19))
    data = load(root)
    (note,) = [note for note in data.notes if "too large" in note]
    assert note.startswith("1 too large, left out: unlabeled/large.png (300 x 300 pixels take 1 MiB to decode, more")


def test_what_was_done_to_pictures_is_said(root):
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 60).save(root / "unlabeled/deep.png")
    notes = load(root).notes
    assert "1 pictures: 16 bits of which 12 are in use, taken as 12 bits: unlabeled/deep.png" in notes
