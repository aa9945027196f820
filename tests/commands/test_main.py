"""``sesemi``: its list of commands, and an environment that lacks what it needs."""

import importlib.metadata
import os
import re
import runpy
import sys

import pytest

from sesemi.commands import main, parser
from tests.conftest import ROOT


def test_alone_it_lists_its_commands(capsys):
    for words in ([], ["--help"]):
        assert main.main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [re.split(r"  +", line)[0].split()[-1] for line in lines] == list(main.COMMANDS)


def test_a_misspelt_command_is_asked_about(capsys):
    for typed, asked in (("trian", "did you mean train?"), ("--epochs", "train --epochs ...?")):
        assert main.main([typed]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "there are train, predict" in error
        assert error.rstrip().endswith(asked)


SHORT = ["--gpu", "cpu", "--epochs", "1", "--quiet"]


@pytest.mark.parametrize(
    "command",
    [
        ["train_evaluate_sesemi.py", *SHORT],
        ["train_evaluate_sesemi_tinyimages.py", *SHORT],
        ["sesemi/__main__.py", "train", *SHORT],
        ["sesemi/__main__.py", "predict", "{here}", "{here}"],
        ["sesemi/__main__.py", "evaluate", "{here}", "digits"],
        ["sesemi/__main__.py", "export", "{here}", "--format", "tflite"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_python_without_tensorflow_is_one_line_that_names_the_environment(command, tmp_path, monkeypatch, capfd):
    (tmp_path / "model.keras").touch()
    (tmp_path / "a.png").touch()
    program, *words = (word.replace("{here}", str(tmp_path)) for word in command)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(sys, "argv", [str(ROOT / program), *words])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / program), run_name="__main__")
    assert stop.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert f"tensorflow is not installed in this environment (Python {sys.version.split()[0]}, {sys.executable})" in err
    assert ".venv/bin/python" in err


def test_the_environment_of_the_checkout_is_named_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(parser, "__file__", str(tmp_path / "sesemi" / "commands" / "parser.py"))
    error = ModuleNotFoundError("No module named 'keras'", name="keras")
    assert "pip install" in parser.says_missing(error)
    (tmp_path / "Makefile").touch()
    assert f"`make demo` in {tmp_path} sets up .venv" in parser.says_missing(error)
    prepared = tmp_path / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    prepared.parent.mkdir(parents=True)
    prepared.touch()
    assert f"run it with {prepared}" in parser.says_missing(error)
    assert parser.says_missing(ModuleNotFoundError("ours", name="sesemi.nothing")) is None
    assert parser.says_missing(ValueError("x")) is None


def test_the_version_is_told_without_keras(monkeypatch, capsys):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert main.main(["--version"]) == 0
    assert "(Keras is not installed, TensorFlow is not installed)" in capsys.readouterr().out
