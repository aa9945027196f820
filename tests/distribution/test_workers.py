"""Two processes on this machine share a run, as two machines would."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from sesemi.commands import train
from sesemi.distribution import cluster, workers
from sesemi.errors import InputError

ROOT = Path(__file__).parents[2]
SHORT = ["--gpu", "cpu", "--views", "1", "--trunk-dropout", "0", "--sync-batch-norm"]


def addresses():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = ",".join(f"127.0.0.1:{s.getsockname()[1]}" for s in sockets)
    for s in sockets:
        s.close()
    return found


def start(*flags, cwd=ROOT, **environment):
    drop = ("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND", "TF_CONFIG")
    env = {k: v for k, v in os.environ.items() if k not in drop} | environment
    command = [sys.executable, str(ROOT / "train_evaluate_sesemi.py"), *SHORT, *map(str, flags)]
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def both(*flags, others=None, folders=(ROOT, ROOT), **environment):
    """Exit codes and what was printed, of worker 0 and worker 1 (which may be given other flags or another folder)."""
    hosts = addresses()
    ours = (flags, flags if others is None else others)
    processes = [start(*ours[i], "--workers", hosts, "--worker", i, cwd=folders[i], **environment) for i in range(2)]
    said = [process.communicate(timeout=300) for process in processes]
    return [process.returncode for process in processes], said


def test_two_processes_train_as_one_device_does(tmp_path, monkeypatch):
    """By flexmatch, which has a table, thresholds and a teacher to agree on; test_replicas has the other methods."""
    flags = ["--method", "flexmatch", "--epochs", "1", "--steps-per-epoch", "20", "--batch-size", "8"]
    # RandAugment shares its operations out over the images of a device, so two draw other ones than one.
    flags += ["--labeled-batch-size", "8", "--name", "a", "--strong-operations", "0", "--set", "threshold=0.3"]
    codes, said = both(*flags, "--output", tmp_path / "two")
    assert codes == [0, 0], said
    (out, error), (other_out, other_error) = said
    assert error == other_error == ""
    assert "test error" in out
    assert other_out.splitlines() == [
        line for line in other_out.splitlines() if line.endswith("waiting for the others")
    ]
    monkeypatch.setenv("TF_CONFIG", "")
    assert train.main([*SHORT, *flags, "--output", str(tmp_path / "one")]) == 0
    models = [keras.models.load_model(tmp_path / name / "a" / "model.keras") for name in ("one", "two")]
    for a, b in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4 * max(1, np.abs(a.numpy()).max()), err_msg=a.path)
    results = [json.loads((tmp_path / name / "a" / "results.json").read_text()) for name in ("one", "two")]
    assert [r["replicas"] for r in results] == [1, 2]


def wait_for(path, rows):
    until = time.monotonic() + 120
    while not (path.exists() and len(path.read_text().splitlines()) > rows):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_that_dies_stops_the_other_and_one_that_is_asked_stops_both(tmp_path):
    flags = ["--method", "supervised", "--epochs", "12", "--steps-per-epoch", "20", "--batch-size", "8", "--name", "a"]
    flags += ["--labeled-batch-size", "16", "--output", tmp_path]
    for number, how in ((1, signal.SIGKILL), (1, signal.SIGINT)):
        hosts = addresses()
        processes = [start(*flags, "--workers", hosts, "--worker", i) for i in range(2)]
        log = tmp_path / "a" / "log.csv"
        wait_for(log, len(log.read_text().splitlines()) if log.exists() else 1)
        processes[number].send_signal(how)
        said = [process.communicate(timeout=60) for process in processes]
        codes = [process.returncode for process in processes]
        if how == signal.SIGKILL:
            assert codes == [3, -signal.SIGKILL]
            assert f"worker 0: worker 1 ({hosts.split(',')[1]}) is gone" in said[0][1]
            assert len(said[0][1].splitlines()) == 1
            assert not (tmp_path / "a" / "results.json").exists()
        else:
            # The one that was asked says which signal it was; the other one that it was asked to stop.
            assert codes[number] == 128 + how, said
            assert codes[1 - number] == 128 + signal.SIGTERM
            steps = {out.rsplit("after step ", 1)[1].split(";")[0] for out, _ in said}
            assert len(steps) == 1
            assert (tmp_path / "a" / "checkpoints" / f"step-{int(steps.pop()):010d}").exists()
    codes, said = both(*flags)
    assert codes == [0, 0], said
    assert "continuing" in said[0][0]
    results = (tmp_path / "a" / "results.json").read_text()
    codes, said = both(*flags)
    assert codes == [0, 0], said
    assert "is finished already" in said[0][0]
    assert (tmp_path / "a" / "results.json").read_text() == results
    whole = [*flags[:-1], tmp_path / "whole"]
    codes, _ = both(*whole)
    assert codes == [0, 0]
    # The very same numbers: the running means of an interrupted epoch go on, too.
    assert (tmp_path / "a" / "log.csv").read_text() == (tmp_path / "whole" / "a" / "log.csv").read_text()


def test_what_one_worker_cannot_have_is_said_by_both(tmp_path):
    """What must agree is compared in `test_what_must_agree`; here an error of one alone reaches the other."""
    flags = ["--epochs", "1", "--output", tmp_path / "runs"]
    codes, said = both(*flags, others=[*flags, "--dataset", "cifar10", "--data-dir", "/nowhere"])
    assert codes == [2, 2]
    for _, error in said:
        assert "/nowhere" in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("results.json"))


def test_other_labeled_images_by_a_file_of_the_same_name_are_refused(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "labels.txt").write_text("\n".join(map(str, range(number, number + 50))))
    codes, said = both("--epochs", "1", "--labels-from", "labels.txt", folders=folders)
    assert codes == [2, 2]
    assert all("other images or labels than worker 0" in error for _, error in said), said


def test_what_must_agree(monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}})
    )
    own = {"error": None, "code": "c", "config": {"seed": "0"}, "data": "d"}
    for change, words in (
        ({"error": "no data"}, "no data"),
        ({"code": "x"}, r"worker 1 \(b:2\): runs other code or packages"),
        ({"config": {"seed": "1"}}, "seed is 0 on worker 0 and 1 there"),
        ({"data": "x"}, "other images or labels"),
    ):
        monkeypatch.setattr(workers, "share", lambda value, other=change: [own, own | other])
        with pytest.raises(InputError, match=words):
            workers.same_for_all(None, own)
    monkeypatch.setattr(workers, "share", lambda value: [own, own])
    assert workers.same_for_all(None, own) == [own, own]


# Prints the hash of the code as it is, with a user's data beside the loaders, and with one line changed.
CODE = """
import pathlib, sesemi
from sesemi.distribution import workers
home = pathlib.Path(sesemi.__file__).parent
print(home)
print(workers.code_digest({"keras": "3"}))
data = home / "datasets" / "cifar-10"
data.mkdir()
(data / "make.py").touch()
print(workers.code_digest({"keras": "3"}))
print(workers.code_digest({"keras": "4"}))
with (home / "models" / "mini.py").open("a") as file:
    file.write("# one more line")
print(workers.code_digest({"keras": "3"}))
"""


def test_a_wheel_and_a_checkout_of_the_same_code_agree(tmp_path):
    """The modules of an installed package all lie in `sesemi`."""
    there = tmp_path / "sesemi"
    for source, copy in (("sesemi", there), ("models", there / "models"), ("datasets", there / "datasets")):
        shutil.copytree(ROOT / source, copy, ignore=lambda folder, names: {n for n in names if "-" in n or "__p" in n})
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    home, installed, with_data, other_versions, other_code = run.stdout.split()
    assert Path(home) == there
    assert installed == with_data == workers.code_digest({"keras": "3"})
    assert len({installed, other_versions, other_code}) == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}', None),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', (["a:1", "b:1"], 1)),
        (
            '{"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
            (["c:1", "a:1"], 1),
        ),
        (
            '{"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
            (["c:1", "a:1"], 0),
        ),
    ],
)
def test_tf_config_is_read_as_tensorflow_does(text, found):
    assert cluster.cluster_of(text) == found


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}']
)
def test_a_tf_config_that_is_none_is_one_line(text):
    with pytest.raises(InputError, match=r"TF_CONFIG: .* is not a cluster and a task"):
        cluster.cluster_of(text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--workers a:1,b:2", "--workers: needs --worker N beside it"),
        ("--worker 1", "--worker: needs --workers"),
        ("--workers a:1 --worker 0", "give two or more"),
        ("--workers a:1,b --worker 0", "such as HOST:PORT,HOST:PORT"),
        ("--workers a:1,a:1 --worker 0", "each once"),
        ("--workers a:1,b:2 --worker 2", "--worker 2: must lie from 0 to 1"),
        ("--workers a:1,b:2 --worker 0 --replicas-cpu 2", "leave one out"),
        ("--workers a:1,b:2 --worker 0 --dry-run", "--dry-run: looks at one process"),
    ],
)
def test_bad_workers_are_one_line_before_anything_starts(capsys, monkeypatch, flags, words):
    monkeypatch.setenv("TF_CONFIG", "")
    assert train.main(["--gpu", "cpu", *flags.split()]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
