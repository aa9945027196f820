"""Search for pictures: one rule for links, nothing that machines or this program made, and all of it counted."""

import importlib.util
import inspect
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sesemi.datasets import own_pictures, walk
from sesemi.report import pictures


def put(root, *names, content=b""):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def found(root):
    """Return the paths of the pictures, and what was passed over."""
    search = walk.Walk(root)
    return [str(path.relative_to(root)) for path in search.pictures()], search.passed


def test_links_to_folders_are_followed_each_folder_once(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    put(root, "a/1.png", "b/2.png")
    put(other, "3.png", "deep/4.png")
    (root / "linked").symlink_to(other)
    (root / "linked too").symlink_to(other)
    (root / "deep").symlink_to(other / "deep")
    (root / "to a").symlink_to(root / "a")
    (root / "a/loop").symlink_to(root)
    (root / "a/around").symlink_to(tmp_path)
    (other / "back").symlink_to(root)
    paths, passed = found(root)
    assert paths == ["a/1.png", "b/2.png", "deep/4.png", "linked/3.png"]
    assert passed.places == {
        walk.TWICE: ["linked too", "to a", "a/around", "a/loop", "linked/back", "linked/deep"],
    }
    assert passed.notes() == [f"passed over: 6 {walk.TWICE}: linked too, to a, a/around and 3 more"]


def test_links_to_nothing_circles_and_devices_are_left_out_by_name(tmp_path, monkeypatch):
    put(tmp_path, "0.png", "x.txt")
    (tmp_path / "1.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "3.png")
    (tmp_path / "3.png").symlink_to(tmp_path / "2.png")
    (tmp_path / "4.png").symlink_to("/dev/null")
    (tmp_path / "folder").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.png").symlink_to(tmp_path / "0.png")
    os.mkfifo(tmp_path / "5.png")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)
        listener.bind("6.png")
    paths, passed = found(tmp_path)
    assert paths == ["0.png", "link.png"]
    assert passed.places == {
        walk.LOST: ["1.png", "2.png", "3.png", "folder"],
        walk.ODD: ["4.png", "5.png", "6.png"],
    }
    assert passed.kinds == {".txt": 1}


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", "System Volume Information", "$Recycle.Bin", "#recycle"],
)
def test_folders_of_machines_are_passed_over(tmp_path, name):
    put(tmp_path, "a/1.png", f"a/{name}/2.png")
    paths, passed = found(tmp_path)
    assert paths == ["a/1.png"]
    assert passed.places == {walk.MACHINES: [f"a/{name}"]}


def test_hidden_pictures_and_folders_are_counted(tmp_path):
    put(tmp_path, "1.png", "._1.png", ".DS_Store", ".thumbnails/2.png")
    paths, passed = found(tmp_path)
    assert paths == ["1.png"]
    assert passed.places == {walk.HIDDEN: ["._1.png", ".thumbnails"]}
    assert not passed.kinds


def encoded(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, kind)
    return buffer.getvalue()


def test_endings_in_any_case_and_none_at_all(tmp_path):
    names = [f"{i}{ending}" for i, ending in enumerate(walk.EXTENSIONS)]
    names += [name.upper() for name in names]
    put(tmp_path, *names)
    for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"):
        put(tmp_path, kind, f"{kind} 2021.12.31", content=encoded(kind))
        names += [kind, f"{kind} 2021.12.31"]
    put(tmp_path, "README", "BMW", content=b"BM is the beginning of a text")
    put(tmp_path, "empty", "1.jpg~", "2.png.part")
    paths, passed = found(tmp_path)
    assert paths == sorted(names)
    assert {".jfif", ".jpe", ".tif"} <= set(walk.EXTENSIONS)
    assert passed.kinds == {"no extension": 3, ".jpg~": 1, ".part": 1}


def test_heic_is_counted_or_read(tmp_path, monkeypatch):
    put(tmp_path, "1.heic", "2.HEIC", "3.heif", *(f"{i}.txt" for i in range(9)))
    put(tmp_path, "none", content=b"\0\0\0\x18ftypheic\0\0\0\0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    paths, passed = found(tmp_path)
    assert paths == []
    (note,) = passed.notes()
    advice = "HEIC is read after: pip install pillow-heif"
    assert note == f"files of other kinds, not read: 2 .heic, 1 .heif, 9 .txt and 1 more ({advice})"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert found(tmp_path)[0] == ["1.heic", "2.HEIC", "3.heif", "none"]


def test_pictures_of_this_program_are_told_by_their_mark(tmp_path):
    grid = pictures.views_grid([("raw", np.zeros((2, 8, 8, 3), np.uint8))])
    assert own_pictures.MARK in grid[:400]
    put(tmp_path, "renamed.png", "unlabeled/preview", content=grid)
    before = PngImagePlugin.PngInfo()
    before.add_text("Software", "Matplotlib version3.9, https://matplotlib.org/")
    for name in ("confusion.png", "next-pictures.png", "my figure.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name, pnginfo=before)
    put(tmp_path, "views.png", content=encoded("PNG"))
    paths, passed = found(tmp_path)
    assert paths == ["my figure.png", "views.png"]
    assert passed.places == {
        walk.OWN: ["confusion.png", "next-pictures.png", "renamed.png", "unlabeled/preview"],
    }


def test_folders_of_runs_are_passed_over(tmp_path):
    put(tmp_path, "1.png", "runs/a/config.json", "runs/a/split.json", "runs/a/evaluation/2.png", "runs/3.png")
    paths, passed = found(tmp_path)
    assert paths == ["1.png", "runs/3.png"]
    assert passed.places == {walk.RUNS: ["runs/a"]}


def test_any_depth_is_searched_and_what_no_path_reaches_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nested = sys.getrecursionlimit()
    try:
        # Deeper than calls may be nested, and longer than a path may be.
        for name, depth in (("d", 200), ("e" * 200, 25)):
            for _ in range(depth):
                os.mkdir(name)
                os.chdir(name)
            put(Path("."), "1.png")
            os.chdir(tmp_path)
        sys.setrecursionlimit(len(inspect.stack(0)) + 150)
        paths, passed = found(tmp_path)
        assert [path[-6:] for path in paths] == ["/1.png"]
        assert len(passed.places[walk.DEEP]) == 1
    finally:
        sys.setrecursionlimit(nested)
        subprocess.run(["rm", "-rf", "d", "e" * 200], check=True)


def test_names_of_classes_are_compared_without_the_form_of_accents_and_space():
    assert walk.class_name("cafe\u0301 ") == walk.class_name("caf\xe9") == "caf\xe9"
    assert walk.class_name("\xa0sea horse\t") == "sea horse"
