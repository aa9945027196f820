"""The scripts and the notebook of `examples/`, as a user starts them but shorter."""

import json
import re
import runpy
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SHORT = ("--epochs", "1", "--steps-per-epoch", "3")


def run(monkeypatch, capsys, name, *flags):
    monkeypatch.setattr(sys, "argv", [name, *SHORT, *map(str, flags)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.slow
def test_own_folder_makes_pictures_and_trains(monkeypatch, capsys, tmp_path):
    printed = run(monkeypatch, capsys, "own_folder.py", "--output", tmp_path)
    assert re.search(r"test error: [\d.]+ %", printed)
    pictures = tmp_path / "digits as pictures"
    counts = {part: len(list((pictures / part).rglob("*.png"))) for part in ("labeled", "unlabeled", "test")}
    assert counts == {"labeled": 30, "unlabeled": 500, "test": 300}
    (report,) = tmp_path.rglob("report.html")
    assert str(report) in printed


@pytest.mark.slow
def test_custom_method_trains_with_its_own_term(monkeypatch, capsys):
    printed = run(monkeypatch, capsys, "custom_method.py")
    assert "entropy: " in printed
    assert re.search(r"test accuracy: 0\.\d{3}", printed)


@pytest.mark.slow
def test_grid_search_scores_each_method(monkeypatch, capsys):
    printed = run(monkeypatch, capsys, "grid_search.py", "--methods", "supervised")
    assert re.search(r"supervised: accuracy [01]\.\d{3}", printed)
    assert re.search(r"best: supervised, accuracy 0\.\d{3}", printed)


def notebook():
    return json.loads((EXAMPLES / "digits.ipynb").read_text())


def test_the_notebook_is_stored_without_outputs():
    found = notebook()
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in found["cells"]]
    assert len(ids) == len(set(ids))
    for cell in found["cells"]:
        assert cell["cell_type"] in ("code", "markdown")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    first, *others = ["".join(cell["source"]) for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    names = {}
    exec(first, names)
    assert {"METHOD", "EPOCHS", "STEPS_PER_EPOCH"} <= set(names)
    names |= {"EPOCHS": 1, "STEPS_PER_EPOCH": 3}
    for source in others:
        exec(source, names)
    plt.close("all")
    assert 0 < names["results"]["test_error"] < 100
    assert re.search(r"sesemi: test error [\d.]+ %", capsys.readouterr().out)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
