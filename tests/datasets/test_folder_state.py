"""A later look at a folder tells whether anything in it has changed."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from sesemi.datasets.folder_state import FolderState


@pytest.fixture
def root(tmp_path, rng):
    for i in range(3):
        (tmp_path / "root/in").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(tmp_path / f"root/in/{i}.bmp")
    return tmp_path / "root"


def state(root):
    found = FolderState(root)
    return found.sizes, found.times, found.contents()


def test_two_files_that_change_places_are_seen(root):
    before = state(root)
    assert state(root) == before
    (root / "in/0.bmp").rename(root / "in/x")
    (root / "in/1.bmp").rename(root / "in/0.bmp")
    (root / "in/x").rename(root / "in/1.bmp")
    after = state(root)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]


def test_a_change_of_some_bytes_is_seen_although_size_and_time_stay(root):
    before, path = state(root), root / "in/2.bmp"
    seen = path.stat()
    with path.open("r+b") as file:
        file.seek(60)
        byte = file.read(1)[0]
        file.seek(60)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    after = state(root)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]


def test_a_copy_has_other_times_and_the_same_contents(root):
    before = state(root)
    shutil.copytree(root, root.parent / "copy")
    after = state(root.parent / "copy")
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] != before[1]


def test_what_is_no_picture_changes_nothing(root):
    before = state(root)
    for name in ("notes.txt", "in/.hidden.png", "@eaDir/1.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    assert state(root) == before


def test_progress_is_told(root):
    seen = []
    FolderState(root).contents(seen.append)
    assert seen == [3]
    assert FolderState(root / "gone").sizes is None


def test_a_single_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("12")
    before = state(path)
    assert state(path) == before
    path.write_text("21")
    after = state(path)
    assert after[0] == before[0]
    assert after[2] != before[2]
