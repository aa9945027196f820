"""Every command that README, docs, benchmarks, examples and scripts print: it runs with tiny settings in this process.

Of training, the words are read up to where TensorFlow would be started; one run is made, and used as the pages say.
"""

import ast
import contextlib
import importlib
import io
import json
import os
import re
import runpy
import shlex
import sys
import tomllib
import types
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sesemi.commands import main as sesemi
from sesemi.commands import train
from sesemi.distribution.cluster import cluster_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = [path for folder in ("benchmarks", "examples", ".") for path in sorted((ROOT / folder).glob("*.py"))]
ENVIRONMENT = re.compile(r"^(?:[A-Z][A-Z_]*=\S+\s+)+")
# What such a line stands for, where a page leaves it to the reader.
PLACEHOLDERS = {"$HOSTS": "a:1,b:2", "\\$SLURM_PROCID": "1", "PATH…": "holiday", "…": ""}


def code_and_text(page):
    """The indented blocks of a page, and the rest."""
    blocks, rest, block, before = [], [], [], ""
    for line in [*page.splitlines(), "end"]:
        if (line.startswith("    ") and (block or not before.strip())) or (block and not line.strip()):
            block.append(line)
        else:
            blocks += ["\n".join(block)] if block else []
            rest, block = [*rest, line], []
        before = line
    return blocks, "\n".join(rest)


def is_shell(block):
    first = block.split()[0]
    return first not in ("from", "import", "pictures/")


def commands_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    blocks, rest = code_and_text(text)
    lines = [line.strip() for block in blocks if is_shell(block) for line in block.splitlines() if line.strip()]
    inline = [" ".join(code.split()) for code in re.findall(r"`+([^`]+)`+", rest)]
    starts = (
        r"(?:sesemi|\.venv/bin/sesemi|(?:\.venv/bin/)?python|make|pip) \S|benchmarks/\w+\.py|train_evaluate_\w+\.py"
    )
    inline = [code for code in inline if re.match(starts, ENVIRONMENT.sub("", code))]
    return [single for line in [*lines, *inline] for single in split_up(line)]


def split_up(line):
    """The commands of a line, without comments."""
    if line.startswith("#"):
        return []
    line = re.sub(r"\s+#\s.*$", "", line)
    if inner := re.match(r'srun bash -c "(.*)"$', line):
        return [inner[1]]
    return [part.strip() for part in line.split("&&")]


FOUND = sorted({command for path in [*PAGES, *SCRIPTS] for command in commands_of(path)})
VARIABLES = [command for command in FOUND if command.startswith(("TF_CONFIG=", "HOSTS=$("))]
COMMANDS = [command for command in FOUND if command not in VARIABLES]


def words_of(command):
    command = ENVIRONMENT.sub("", command)
    for placeholder, value in PLACEHOLDERS.items():
        command = command.replace(placeholder, value)
    words = shlex.split(command)
    words[0] = words[0].removeprefix(".venv/bin/")
    if words[:3] == ["python", "-m", "sesemi"]:
        return ["sesemi", *words[3:]]
    return words[1:] if words[0] == "python" else words


def documented(script):
    """The words of each command that starts a script."""
    return [words[1:] for command in COMMANDS if (words := words_of(command))[:1] == [script]]


class Reached(Exception):  # noqa: N818
    """All that was typed is understood, and TensorFlow would be started."""


def stop_before_tensorflow(config, *_, **__):
    raise Reached(config)


def read_up_to_tensorflow(words, monkeypatch):
    monkeypatch.setattr(train, "_start", stop_before_tensorflow)
    with pytest.raises(Reached):
        start(words, monkeypatch)


def start(words, monkeypatch):
    if words[0] == "sesemi":
        return sesemi.main(words[1:])
    monkeypatch.setattr(sys, "argv", words)
    return runpy.run_path(str(ROOT / words[0]), run_name="__main__")


def test_the_pages_hold_the_commands_that_users_look_for():
    first = {words[0] for command in COMMANDS if (words := words_of(command))}
    assert first >= {"sesemi", "make", "pip", "train_evaluate_sesemi.py", "train_evaluate_sesemi_tinyimages.py"}
    assert {words_of(command)[1] for command in COMMANDS if command.startswith("sesemi ")} == set(sesemi.COMMANDS)
    assert first >= {path.relative_to(ROOT).as_posix() for path in SCRIPTS if path.parent.name == "benchmarks"}
    assert first >= {path.relative_to(ROOT).as_posix() for path in SCRIPTS if path.parent.name == "examples"}


def test_the_printed_cluster_is_understood():
    (text,) = shlex.split(next(line for line in VARIABLES if line.startswith("TF_CONFIG=")))
    assert cluster_of(text.removeprefix("TF_CONFIG=")) == (["train-0.train:5000", "train-1.train:5000"], 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_is_understood(command, monkeypatch, capsys):
    program, *words = words_of(command)
    if program == "make":
        target = next(word for word in words if "=" not in word)
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program in ("source", "."):
        assert words == [".venv/bin/activate"]
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert words[0] == "install"
        for named in re.findall(r"^\.\[(.*)\]$|^sesemi-keras\[(.*)\]$", words[1]):
            assert set("".join(named).split(",")) <= set(extras)
    elif program.startswith("train_evaluate_") or (program, *words[:1]) == ("sesemi", "train"):
        read_up_to_tensorflow([program, *words], monkeypatch)
    elif program.startswith("benchmarks/"):
        benchmark(program).arguments(words)
    elif program == "sesemi":
        # With all that they need, they are run below.
        assert not words or words[0] in sesemi.COMMANDS
    else:
        assert program in {path.relative_to(ROOT).as_posix() for path in SCRIPTS}, f"{command!r}: nothing tries this"


def paint(folder, count):
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng([*str(folder).encode(), number]).integers(0, 256, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


TINY_RUN = "--network mini --image-size 8 --method supervised --epochs 1 --steps-per-epoch 2 --batch-size 4 --views 1"


@pytest.mark.slow
def test_a_folder_of_pictures_goes_the_way_that_the_pages_print(tmp_path, monkeypatch, capsys, undrawn):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("cat", "dog", "owl")):
        paint(tmp_path / "pictures" / "labeled" / name, 3)
        paint(tmp_path / "pictures" / "test" / name, 2 + number)
    paint(tmp_path / "pictures" / "unlabeled", 3)
    paint(tmp_path / "holiday", 2)
    assert "sesemi train --data-dir pictures" in COMMANDS
    own = "train --data-dir pictures --name NAME --gpu cpu --quiet"
    assert sesemi.main([*own.split(), *TINY_RUN.split()]) == 0
    assert "warning: only 9 test images: each is 11.1 points of the test error" in capsys.readouterr().err
    results = json.loads((tmp_path / "runs" / "NAME" / "results.json").read_text())
    low, high = results["test_error_interval"]
    assert 0 <= low < results["test_error"] < high <= 100
    report = (tmp_path / "runs" / "NAME" / "report.html").read_text()
    assert "Warning: only 9 test images" in report
    assert "Most confident mistakes" in report
    used = [words_of(command)[1:] for command in COMMANDS if re.match(r"(?:\S*/)?sesemi (?!train)", command)]
    used = [words for words in used if len(words) > 1]
    assert {words[0] for words in used} == set(sesemi.COMMANDS) - {"train"}
    for words in used:
        words = [str(p) for word in words for p in (sorted(Path().glob(word)) if "*" in word else [word])]
        assert sesemi.main(words) == 0, (words, capsys.readouterr().err)
    assert (tmp_path / "holiday.csv").read_text().count("\n") == 3
    assert (tmp_path / "comparison" / "comparison.md").exists()
    assert {"model.tflite", "label_next.csv"} <= {path.name for path in (tmp_path / "runs" / "NAME").iterdir()}


SMALL = "--network mini --method supervised --steps 1 --rounds 1"
SMALL_STEPS = f"{SMALL} --batch-size 4 --labeled-batch-size 4 --gpu cpu"
TINY = {
    "benchmarks/augment.py": "--rounds 1 --batch-size 2 --side 8 --seconds 0",
    "benchmarks/digits.py": "--seeds 1 --methods supervised --epochs 1 --steps-per-epoch 2 --labels 10",
    "benchmarks/scaling.py": f"{SMALL} --batch-size 2 --labeled-batch-size 2",
    "benchmarks/streaming.py": f"{SMALL} --data-dir pictures --image-size 8",
    "benchmarks/teacher.py": SMALL_STEPS,
    "benchmarks/throughput.py": SMALL_STEPS,
}
SAYS = {
    "benchmarks/augment.py": r"ours, compiled / .*: [\d.]+",
    "benchmarks/digits.py": r"\| supervised \| [\d.]+ \|",
    "benchmarks/scaling.py": r"all-reduced in a step \[bytes\]: gradients \d+",
    "benchmarks/streaming.py": r"streamed / in memory: [\d.]+",
    "benchmarks/teacher.py": r"the update alone [\d.]+ ms, [\d.]+ %",
    "benchmarks/throughput.py": r"fit / forward-backward: [\d.]+",
}


def benchmark(script):
    path = str(ROOT / "benchmarks")
    if path not in sys.path:
        sys.path.append(path)
    return importlib.import_module(Path(script).stem)


def in_this_process(module):
    """What `subprocess.Popen` gives, of a worker that runs at once in this process."""

    def popen(command, **_):
        said, cores = io.StringIO(), os.sched_getaffinity(0)
        try:
            with contextlib.redirect_stdout(said):
                module.main(command[2:])
        finally:
            os.sched_setaffinity(0, cores)
        return types.SimpleNamespace(communicate=lambda: (said.getvalue(), None), returncode=0)

    return popen


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").glob("*")
                                          if path.suffix == ".py"))  # fmt: skip
def test_the_benchmark_runs(script, tmp_path, monkeypatch, capsys, untraced, undrawn):
    monkeypatch.chdir(tmp_path)
    module = benchmark(script)
    if script.endswith("streaming.py"):
        for name in ("cat", "dog"):
            paint(tmp_path / "pictures" / "labeled" / name, 4)
    if script.endswith("scaling.py"):
        monkeypatch.setattr(module.subprocess, "Popen", in_this_process(module))
    if script.endswith("augment.py"):
        monkeypatch.setattr(futures, "ProcessPoolExecutor", lambda count, *_: futures.ThreadPoolExecutor(count))
    for words in documented(script)[:1]:
        module.main([*words, *TINY[script].split()])
    assert re.search(SAYS[script], capsys.readouterr().out)
