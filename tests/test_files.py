"""Files are whole or absent, whatever fails."""

import inspect
import os
import sys
from pathlib import Path

import pytest

from sesemi import files
from sesemi.errors import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "a.csv"
    for text in ("one", "two"):
        with files.whole(path) as partial:
            partial.write_text(text)
            assert partial.suffix == path.suffix
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert names(tmp_path) == ["a.csv"]


def test_a_folder_appears_whole_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "model"
    for number in range(2):
        with files.whole(path) as partial:
            (partial / "inside").mkdir(parents=True)
            (partial / "inside" / f"{number}").write_text("x")
        assert names(path / "inside") == [str(number)]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_fails_leaves_the_one_before_and_nothing_else(tmp_path, kind):
    path = tmp_path / "a"
    path.mkdir() if kind == "folder" else path.write_text("before")

    def stopped():
        with files.whole(path) as partial:
            partial.mkdir() if kind == "folder" else partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert names(tmp_path) == ["a"]
    assert path.is_dir() or path.read_text() == "before"


def test_a_rename_that_fails_puts_a_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.mkdir()
    (path / "x").write_text("before")
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"), files.whole(path) as partial:
        partial.mkdir()
    assert (path / "x").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_everything_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    """What the file descriptors that were flushed stood for, in the order of the calls."""
    calls = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: calls.append(os.readlink(f"/proc/self/fd/{handle}")))
    original = os.replace
    monkeypatch.setattr(files.os, "replace", lambda *paths: (calls.append("rename"), original(*paths)))
    with files.whole(tmp_path / "a") as partial:
        partial.mkdir()
        (partial / "x").write_text("x")
    assert calls == [str(tmp_path / ".partial-a" / "x"), str(tmp_path / ".partial-a"), "rename", str(tmp_path)]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("h5py says\nfull")])
def test_a_full_disk_is_one_line(tmp_path, error):
    def fails(path):
        raise error

    with pytest.raises(files.WriteError, match=r"^x\.h5 could not be written \(.*\); the same command tries again$"):
        files.write(tmp_path / "x.h5", fails)
    assert not names(tmp_path)


def test_names_that_are_no_text_keep_their_bytes(tmp_path):
    files.write(tmp_path / "a", os.fsdecode(b"\xff.png"))
    assert (tmp_path / "a").read_bytes() == b"\xff.png"


def test_a_folder_is_held_by_one_and_removed_if_nothing_was_written(tmp_path):
    folder = tmp_path / "run"
    with files.lock(folder):
        with pytest.raises(InputError, match="in use by another process"), files.lock(folder):
            pass
        assert folder.is_dir()
    assert not folder.exists()
    with files.lock(folder / "deep" / "er"):
        pass
    assert not folder.exists(), "nor what was made for it"
    with files.lock(folder):
        (folder / "x").write_text("x")
    with files.lock(folder):
        assert (folder / "x").exists()


def test_a_lock_that_is_a_link_leads_to_nobodys_file(tmp_path):
    run, precious = tmp_path / "run", tmp_path / "precious"
    precious.write_text("mine")
    run.mkdir()
    (run / files.LOCK).symlink_to(precious)
    with pytest.raises(InputError, match=r"\.lock is a link, which no run makes; remove it"), files.lock(run):
        pass
    assert precious.read_text() == "mine"
    assert (run / files.LOCK).is_symlink()


def test_a_run_folder_that_is_a_link_is_held_and_stays(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir()
    link.symlink_to(there)
    with files.lock(link), pytest.raises(InputError, match="in use by another process"), files.lock(there):
        pass
    assert link.is_symlink()
    assert names(there) == []
    with files.lock(link):
        (link / "kept").touch()
    assert "kept" in names(there)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="is a link that leads nowhere"), files.lock(tmp_path / "nowhere"):
        pass
    assert not (tmp_path / "gone").exists()


def test_what_is_written_over_a_link_replaces_the_link(tmp_path):
    precious, sheet = tmp_path / "precious", tmp_path / "label_next-pictures.png"
    for target in (precious, tmp_path / "folder"):
        sheet.unlink(missing_ok=True)
        precious.write_text("mine")
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / "inside").touch()
        sheet.symlink_to(target)
        (tmp_path / f".partial-{sheet.name}").symlink_to(precious)
        files.write(sheet, b"new")
        assert not sheet.is_symlink()
        assert sheet.read_bytes() == b"new"
    assert precious.read_text() == "mine"
    assert names(tmp_path / "folder") == ["inside"]
    assert names(tmp_path) == ["folder", "label_next-pictures.png", "precious"]


def test_a_folder_can_lie_as_deep_as_the_system_allows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deep, limit = Path(*["d"] * 150), sys.getrecursionlimit()
    # Calls of a function by itself are counted; with the usual limit 1,200 folders show the same, in ten seconds.
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        with files.lock(deep):
            there = deep.is_dir()
    finally:
        sys.setrecursionlimit(limit)
    assert there
    assert names(tmp_path) == []
    with pytest.raises(InputError, match="cannot be written to"), files.lock(Path(*["d" * 200] * 30)):
        pass
