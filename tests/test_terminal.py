"""What others have written reaches the terminal as text in one line, whatever the terminal is."""

import ast
import io
import os
import re
import sys
from pathlib import Path

import pytest

from sesemi import terminal
from sesemi.commands import train
from sesemi.commands.parser import OneLineParser, as_typed
from sesemi.errors import InputError

ROOT = Path(__file__).parent.parent
HOSTILE = "\x1b[2J\x07\0\r\n\u202e\u2028" + os.fsdecode(b"\xff")
ESCAPED = r"\x1b[2J\x07\x00\r\n\u202e\u2028\udcff"
# The bar of a training rewrites its line, and a signal's words are written over it.
OTHER_DOORS = {"terminal.py", "progress.py", "callbacks.py"}


@pytest.mark.parametrize("printing", [terminal.show, terminal.tell])
def test_no_control_character_passes_the_door(printing, capsys):
    printing(f"class {HOSTILE}.", "second")
    assert "".join(capsys.readouterr()) == f"class {ESCAPED}.\nsecond\n"


def test_what_is_too_long_is_cut_and_says_so(capsys):
    terminal.show("a" * 100_000)
    assert capsys.readouterr().out == "a" * 10_000 + " ...\n"
    assert terminal.printable("\x1b" * 10**6, 8) == r"\x1b\x1b ..."
    assert terminal.printable("a" * 8, 8) == "a" * 8
    assert terminal.one_line(" a\n b ") == "a b"


def test_a_reader_that_has_gone_ends_nothing(monkeypatch):
    """As with ``| head``: a training goes on, and its lines go nowhere."""
    ours, theirs = os.pipe()
    with open(theirs, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.show("read")
        os.close(ours)
        terminal.show("lost")
        terminal.show("lost too")


@pytest.mark.parametrize("part", ["problem", "value", "cure"])
def test_an_error_is_one_line_whose_cure_is_seen(part):
    parts = {"problem": "wrong", "value": "x", "cure": "do so"} | {part: HOSTILE + "b" * 100_000}
    said = as_typed(InputError(parts["problem"], setting="config", value=parts["value"], cure=parts["cure"]))
    assert said.isprintable()
    assert ESCAPED in said
    assert len(said) < 3000
    assert part == "cure" or said.endswith("; do so")


def test_an_error_without_a_setting_is_one_line_too():
    assert as_typed(ValueError(HOSTILE)) == ESCAPED


def test_a_message_of_a_parser_is_one_line(capsys):
    with pytest.raises(SystemExit):
        OneLineParser(prog="x").parse_args([HOSTILE])
    assert ESCAPED in capsys.readouterr().err


def test_a_terminal_that_is_not_utf_8_takes_every_name(monkeypatch, tmp_path):
    streams = [
        io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors) for errors in ("strict", "surrogateescape")
    ]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    name = "katzé" + os.fsdecode(b"\xff")
    assert train.main(["--config", str(tmp_path / name)]) == 2
    print(name)
    terminal.show(name)
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode("ascii") for stream in streams)
    assert out == 2 * (r"katz\xe9\udcff" + "\n")
    assert r"katz\xe9\udcff: cannot be read" in err


def test_a_program_whose_stdout_is_not_utf_8_can_run_too(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", "strict")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.show("katzé")
    assert stream.buffer.getvalue() == rb"katz\xe9" + b"\n"


@pytest.mark.parametrize("given", ["/dev/zero", "/dev/null", "pipe", "."])
def test_settings_come_from_a_file_alone(monkeypatch, tmp_path, capsys, given):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert train.main(["--config", given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"--config .*: cannot be read \(it is a (device|pipe|folder), no file\)", line)


@pytest.mark.parametrize("path", sorted((ROOT / "sesemi").rglob("*.py")), ids=lambda path: path.name)
def test_lines_are_printed_through_the_door(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printed = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not printed or path.name in OTHER_DOORS, f"{path}, lines {printed}: use terminal.show or tell"
