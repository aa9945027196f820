"""The flags of ``sesemi train`` and the page about them are what the settings say."""

import subprocess
import sys

import pytest

from sesemi.commands import main as commands
from sesemi.commands.parser import as_typed, flag, typed
from sesemi.commands.train_flags import build_parser, reference
from sesemi.config.sections import SETTINGS
from sesemi.errors import InputError
from tests.conftest import ROOT


def test_every_setting_has_its_flag():
    text = build_parser("x").format_help()
    for name in SETTINGS:
        assert f"{flag(name)} " in text or f"{flag(name)}," in text, name


@pytest.mark.parametrize("typed_flag", ["--learnin-rate", "--lerning-rate=0.1"])
def test_a_misspelt_flag_is_asked_about(capsys, typed_flag):
    with pytest.raises(SystemExit):
        build_parser("train").parse_args([typed_flag])
    assert "did you mean --learning-rate" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["1" * 400, "[" * 1000, '"\\ud800"'])
def test_an_argument_that_json_cannot_hold_is_one_line(capsys, value):
    with pytest.raises(SystemExit) as stop:
        build_parser("train").parse_args(["--set", f"weight={value}"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 300


def test_the_reference_page_is_that_of_the_settings():
    assert (ROOT / "docs/settings.md").read_text() == reference(), "run make docs"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--momentum", "0.5"], {"momentum": 0.5}),
        (["--gcn-scale", "2", "--zca-ridge", "1"], {"gcn_scale": 2.0, "zca_ridge": 1.0}),
        (["--no-zca", "--flip", "--no-quiet"], {"zca": False, "flip": True, "quiet": False}),
        (["--labels", "all"], {"labels": "all"}),
        (["--labels", "40", "--strong-level", "0.5"], {"labels": 40, "strong_level": 0.5}),
        (["--set", "a=1", "--set", "b=true"], {"arguments": [("a", 1), ("b", True)]}),
        ([], {}),
    ],
)
def test_flags_become_settings_and_nothing_else(arguments, expected):
    found = vars(build_parser("x").parse_args(arguments))
    assert found.pop("traceback", False) is False
    assert found == expected


def test_messages_speak_the_language_of_the_command_line():
    error = InputError(
        "needs `joint_forward=True` or `zca=False`", setting="arguments.weight", value=-1, cure="say `labels=N`"
    )
    assert as_typed(error) == "--set weight=-1: needs --joint-forward or --no-zca; say --labels N"
    assert str(error) == "arguments.weight=-1: needs `joint_forward=True` or `zca=False`; say `labels=N`"
    assert typed("a `path` of `labels_file`") == "a `path` of --labels-file", "only settings are flags"
    assert as_typed(InputError("x", setting="strict", value=True)) == "--strict: x"


def test_bare_sesemi_lists_its_commands_in_six_lines(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/anywhere/sesemi"])
    assert commands.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(commands.COMMANDS) == 6
    for line, name in zip(lines, commands.COMMANDS, strict=True):
        assert line.startswith(f"sesemi {name} ")
    assert commands.main(["--version"]) == 0
    assert "Keras" in capsys.readouterr().out


@pytest.mark.parametrize("typed", [["trian"], ["--labels", "40"]])
def test_an_unknown_command_is_refused_in_one_line(typed, capsys):
    assert commands.main(typed) == 2
    error = capsys.readouterr().err
    assert "train, predict, evaluate" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help_needs_no_library(name):
    """Keras and TensorFlow take seconds, numpy and others tenths of one."""
    code = (
        f"import sys; from sesemi.commands.main import main\ntry: main(['{name}', '--help'])\nexcept SystemExit: pass\n"
    )
    code += "print(sorted({'keras', 'tensorflow', 'numpy', 'sklearn', 'matplotlib', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert f"sesemi {name}" in done.stdout
