"""`RunFolder` in a folder that is somebody else's."""

import pytest

from sesemi.runs.folder import RunFolder
from tests.messages import refused


@pytest.mark.parametrize("name", ["report.html", "model.keras", "results.json", "log.csv", "predictions.npz"])
def test_what_no_run_has_left_is_not_overwritten(tmp_path, name):
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "run").symlink_to(there)
    folder = RunFolder(tmp_path / "run")
    folder.refuse_files_of_others()
    (there / "notes.txt").touch()
    folder.refuse_files_of_others()
    (there / name).write_text("mine")
    with refused(f"run/{name} would be overwritten, .*give another --name"):
        folder.refuse_files_of_others()
    folder.config_file.write_text("{}")
    folder.refuse_files_of_others()
