import io
import json
import os
import re
import signal
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from sesemi.errors import InputError
from sesemi.files import lock
from sesemi.runs import callbacks, checkpoints, progress, results, session, weights
from sesemi.training import guard, preprocess
from tests.conftest import ROOT
from tests.plain_model import plain_model


def test_nan_stops_the_run_and_names_the_term_and_the_step(small):
    stop = guard.StopOnNonFiniteLoss(lambda: 41)
    stop.on_train_batch_end(0, {"loss": 1.0, "rotation": 2.0})
    with pytest.raises(guard.NonFiniteLossError, match="'rotation' became nan at step 41"):
        stop.on_train_batch_end(0, {"loss": float("nan"), "rotation": float("nan"), "supervised": 1.0})


def test_nan_in_several_steps_at_once_names_them_all():
    stop = guard.StopOnNonFiniteLoss(lambda: 41)
    stop.set_model(types.SimpleNamespace(steps_per_execution=4))
    with pytest.raises(guard.NonFiniteLossError, match="'loss' became nan in steps 41 to 44"):
        stop.on_train_batch_end(3, {"loss": float("nan")})


def test_a_run_that_diverges_is_stopped_by_the_guard(small):
    model = small.model("sesemi", learning_rate=1e12)
    steps = []
    counter = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_, **__: steps.append(1))
    with pytest.raises(guard.NonFiniteLossError) as error:
        small.fit(model, stop=50, callbacks=[counter, guard.StopOnNonFiniteLoss(lambda: len(steps))])
    assert f"at step {len(steps)}" in str(error.value)
    assert "'loss'" not in str(error.value)
    assert "`learning_rate` was 1e+12, try a tenth of it" in str(error.value)
    assert len(steps) < 50


def test_checkpoint_round_trip_and_only_the_last_two_are_kept(small, tmp_path):
    model = small.model("sesemi")
    kept_in = checkpoints.Checkpoints(tmp_path / "c")
    assert kept_in.latest() is None
    kept_in.save(model, 2, {"history": [0.5]})
    kept_in.save(model, 3, {"history": [1.5]})
    small.fit(model, stop=1)
    kept_in.save(model, 4, {"history": [2.5]})
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["step-0000000003", "step-0000000004"]
    assert kept_in.read_state(kept_in.latest()) == {"step": 4, "history": [2.5]}
    other = small.model("sesemi")
    kept_in.load_weights(kept_in.latest(), other)
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_checkpoint_brings_the_whitening_back(small, tmp_path):
    layers = [preprocess.build((8, 8, 2), whiten=True) for _ in range(2)]
    preprocess.set_whitening(layers[0], preprocess.fit_whitening(small.images))
    kept_in = checkpoints.Checkpoints(tmp_path)
    path = kept_in.save(small.model("sesemi", preprocess=layers[0]), 1, {})
    kept_in.load_weights(path, small.model("sesemi", preprocess=layers[1]))
    for a, b in zip(layers[0].variables, layers[1].variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert np.abs(layers[1].variables[0].numpy()).max() > 0


def values_of(model):
    return [v.numpy().tolist() for v in [*model.variables, *model.optimizer.variables]]


# Fills a file system of one MiB, and saves: prints what a user would read, and what is left.
FULL_DISK = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from sesemi.runs.checkpoints import CheckpointError, Checkpoints
from tests.plain_model import plain_model
folder = Path(sys.argv[1])
kept = Checkpoints(folder / "checkpoints")
kept.save(plain_model(), 1, {})
filler = os.open(folder / "filler", os.O_CREAT | os.O_WRONLY)
while True:
    try:
        os.write(filler, b"0" * 4096)
    except OSError:
        break
for size in (4, 100_000):
    try:
        kept.save(plain_model(1, size), 2, {})
    except CheckpointError as error:
        print(error)
print(sorted(p.name for p in (folder / "checkpoints").iterdir()), kept.latest().name)
"""


def test_a_full_disk_is_an_error_like_another(tmp_path):
    """On a real file system that is full: h5py would end the process there."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = f"mount -t tmpfs -o size=1m tmpfs {place}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    run = [sys.executable, "-c", FULL_DISK, str(place), str(ROOT)]
    # No TensorFlow is loaded there.
    command = ["unshare", "-rm", "sh", "-c", f'{mounted} && exec "$@"', "sh", *run]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *errors, left = done.stdout.splitlines()
    assert len(errors) == 2
    for error in errors:
        assert re.search(r"No space left on device.*\(step-0000000001\) is whole", error)
    assert left == "['step-0000000001'] step-0000000001"


def test_a_failed_write_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    kept_in = checkpoints.Checkpoints(tmp_path)
    kept = kept_in.save(plain_model(), 1, {})

    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_bytes", full)
        with pytest.raises(checkpoints.CheckpointError, match=r"No space left on device.*step-0000000001.*whole"):
            kept_in.save(plain_model(), 2, {})
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert kept_in.latest() == kept


def test_weights_that_are_not_finite_are_not_saved(small, tmp_path):
    model = small.model("supervised")
    model.classifier.head.bias.assign([1.0, np.nan, 0.0])
    with pytest.raises(checkpoints.CheckpointError, match="not finite after step 7"):
        checkpoints.Checkpoints(tmp_path).save(model, 7, {})
    assert not list(tmp_path.iterdir())


def flip_a_bit(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def edit_step(path, step):
    found = json.loads(path.read_text())
    found["state"] = json.dumps({**json.loads(found["state"]), "step": step})
    path.write_text(json.dumps(found))


DAMAGES = {
    "a bit of the weights": lambda c: flip_a_bit(c / "weights.npz", -100),
    "a bit of the state": lambda c: flip_a_bit(c / "state.json", -20),
    "half of the weights": lambda c: (c / "weights.npz").write_bytes((c / "weights.npz").read_bytes()[:100]),
    "no weights": lambda c: (c / "weights.npz").unlink(),
    "an empty state": lambda c: (c / "state.json").write_text(""),
    "a list for a state": lambda c: (c / "state.json").write_text("[]"),
    "a deep state": lambda c: (c / "state.json").write_text("[" * 100_000),
    "a state that lacks all": lambda c: (c / "state.json").write_text("{}"),
    "a state of numbers": lambda c: (c / "state.json").write_text('{"sha256": 1, "state": 2}'),
    "step 10^9": lambda c: edit_step(c / "state.json", 10**9),
    "step -5": lambda c: edit_step(c / "state.json", -5),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(tmp_path, damage):
    kept_in, told = checkpoints.Checkpoints(tmp_path, {"seed": 0}), []
    first, second = (kept_in.save(plain_model(step), step, {"best": {}}) for step in (3, 7))
    assert kept_in.latest(told.append) == second
    assert told == []
    DAMAGES[damage](second)
    assert kept_in.latest(told.append) == first
    (line,) = told
    assert line.startswith(f"warning: {second} is damaged (")
    assert line.endswith("the run goes on from step-0000000003")
    model = plain_model(9)
    kept_in.load_weights(first, model)
    assert values_of(model) == values_of(plain_model(3))
    DAMAGES[damage](first)
    with pytest.raises(InputError, match=r"no checkpoint can be gone on from: .*0000007 is.*0000003 is"):
        kept_in.latest()
    # What could not be read is written anew once the run comes to that step.
    assert kept_in.save(plain_model(3), 3, {}) == first
    assert kept_in.latest() == first


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    """Another seed's; another step's under this name; one of an earlier version; equal numbers are one run."""
    path = checkpoints.Checkpoints(tmp_path, {"seed": 0, "decay": 50}).save(plain_model(), 1, {})
    assert checkpoints.Checkpoints(tmp_path, {"decay": 50.0, "seed": 0}).latest() == path
    with pytest.raises(InputError, match="is of another run: its settings, data or split differ"):
        checkpoints.Checkpoints(tmp_path, {"seed": 1, "decay": 50}).latest()
    path.rename(tmp_path / "step-0000000009")
    with pytest.raises(InputError, match="step-0000000009 is that of step 1"):
        checkpoints.Checkpoints(tmp_path, {"seed": 0, "decay": 50}).latest()
    (tmp_path / "step-0000000009" / "model.weights.h5").touch()
    with pytest.raises(InputError, match="by an earlier version"):
        checkpoints.Checkpoints(tmp_path, {"seed": 0, "decay": 50}).latest()


def test_weights_of_another_network_are_refused(tmp_path):
    path = checkpoints.Checkpoints(tmp_path).save(plain_model(), 1, {})
    other = plain_model(5, size=6)
    before = values_of(other)
    with pytest.raises(InputError, match="does not fit this run"):
        checkpoints.Checkpoints.load_weights(path, other)
    assert values_of(other) == before
    packed = io.BytesIO()
    np.savez_compressed(packed, **{"00000": np.zeros(10**6, np.float32)})
    with pytest.raises(ValueError, match="unpacks to more than it holds"):
        weights.assign(packed.getvalue(), other.variables)


def test_leftovers_of_a_killed_write_are_no_checkpoint(small, tmp_path):
    (tmp_path / ".partial-1").mkdir()
    kept_in = checkpoints.Checkpoints(tmp_path)
    assert kept_in.latest() is None
    kept_in.save(plain_model(), 1, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000000001"]


def test_a_folder_is_locked_until_the_process_ends(tmp_path):
    with lock(tmp_path / "run"):
        child = os.fork()
        if child == 0:
            try:
                with lock(tmp_path / "run"):
                    os._exit(0)
            except InputError as error:
                os._exit(9 if "in use by another process" in str(error) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not (tmp_path / "run").exists()
    with lock(tmp_path / "run"):
        (tmp_path / "run" / "kept").touch()
    assert (tmp_path / "run" / "kept").exists()


def test_a_folder_below_a_file_cannot_be_locked(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"), lock(tmp_path / "file" / "run"):
        pass


# Of a model, what a callback asks that counts steps and stops.
ALONE = types.SimpleNamespace(steps_per_execution=1, stop_here=None, stop_anywhere=None)


class Saves:
    def __init__(self):
        self.saved = []

    def save(self, model, step, state):
        self.saved.append(step)


def test_the_first_signal_saves_and_stops_the_second_stops_at_once(capsys):
    saves = Saves()
    saver = callbacks.SaveAndStop(saves, dict, steps_per_epoch=10, first_step=4)
    saver.set_model(ALONE)
    saver.on_train_batch_end(0)
    assert saves.saved == []
    saver.request_stop(signal.SIGTERM)
    with pytest.raises(callbacks.Interrupted) as stop:
        saver.on_train_batch_end(1)
    assert saves.saved == [6]
    assert (stop.value.number, stop.value.step) == (signal.SIGTERM, 6)
    with pytest.raises(KeyboardInterrupt):
        saver.request_stop(signal.SIGINT)


def test_a_signal_at_the_end_of_an_epoch_waits_for_its_evaluation():
    saves = Saves()
    saver = callbacks.SaveAndStop(saves, dict, steps_per_epoch=2, first_step=1)
    saver.set_model(ALONE)
    saver.request_stop(signal.SIGINT)
    saver.on_train_batch_end(0)
    assert saves.saved == []
    with pytest.raises(callbacks.Interrupted):
        saver.on_epoch_end(0)
    assert saves.saved == [2]


def test_checkpoints_are_written_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    saves = Saves()
    saver = callbacks.SaveAndStop(saves, dict, steps_per_epoch=1000, first_step=0, every_s=30)
    saver.set_model(ALONE)
    for _ in range(100):
        now[0] += 1
        saver.on_train_batch_end(0)
    assert saves.saved == [31, 62, 93]


def test_best_weights_are_those_of_the_lowest_validation_error(small, tmp_path):
    model, state = small.model("supervised"), {}
    best = callbacks.KeepBest(tmp_path / "best.weights.npz", state)
    best.set_model(model)
    for epoch, error in enumerate([30.0, 20.0, 25.0, 20.0]):
        model.classifier.head.bias.assign([float(epoch)] * 3)
        best.on_epoch_end(epoch, {"validation_error": error})
    content = (tmp_path / "best.weights.npz").read_bytes()
    assert state == {"epoch": 2, "error": 20.0, "sha256": weights.digest(content)}
    weights.assign(content, model.classifier.variables)
    np.testing.assert_array_equal(model.classifier.head.bias.numpy(), [1.0] * 3)


def test_metrics_of_an_interrupted_epoch_are_given_back_once(small):
    model = small.model("sesemi")
    small.fit(model)
    values = [v.numpy().item() for v in callbacks.metric_variables(model)]
    values = json.loads(json.dumps(values))
    model.reset_metrics()
    restore = callbacks.RestoreMetrics(values)
    restore.set_model(model)
    restore.on_epoch_begin(0)
    assert [v.numpy().item() for v in callbacks.metric_variables(model)] == values
    model.reset_metrics()
    restore.on_epoch_begin(1)
    assert {v.numpy().item() for v in callbacks.metric_variables(model)} == {0.0}


def test_progress_without_a_terminal_prints_named_values(small, capsys):
    model = small.model("sesemi")
    shown = progress.Progress(epochs=2, steps_per_epoch=3, images_per_step=30, first_step=0, started=0.0)
    small.fit(model, callbacks=[shown])
    start, line = capsys.readouterr().out.strip().splitlines()
    assert re.fullmatch(r"first step after [\d.]+ s, [\d.]+ of them to compile", start)
    assert line.startswith("epoch 1/2")
    for name in ("loss", "supervised", "rotation", "l2", "learning_rate", "images/s"):
        assert f" {name} " in line
    images, seconds = shown.timed
    assert images == 60
    assert seconds > 0


class Terminal(io.StringIO):
    """What a terminal shows of what was written to it: `lines` are its lines."""

    def isatty(self):
        return True

    @property
    def lines(self):
        shown = []
        for line in self.getvalue().split("\n"):
            place = ""
            for part in line.split("\r"):
                place = part + place[len(part) :]
            shown.append(place.rstrip())
        return shown


def a_terminal(monkeypatch):
    """Put one in place of stdout and stderr."""
    found = Terminal()
    monkeypatch.setattr("sys.stdout", found)
    monkeypatch.setattr("sys.stderr", found)
    monkeypatch.setenv("COLUMNS", "100")
    return found


# Of a model, what a line of the log needs.
WITH_RATE = types.SimpleNamespace(
    steps_per_execution=1, stop_here=None, stop_anywhere=None, optimizer=types.SimpleNamespace(learning_rate=0.03)
)


def steps_of(shown, epoch, count):
    shown.set_model(WITH_RATE)
    shown.on_epoch_begin(epoch)
    for step in range(count):
        shown.on_train_batch_begin(step)
        shown.on_train_batch_end(step, {"loss": 1.23456})


def test_on_a_terminal_there_is_one_bar_for_the_run_and_a_line_an_epoch(monkeypatch):
    terminal = a_terminal(monkeypatch)
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now.__setitem__(0, now[0] + 0.5) or now[0])
    shown = progress.Progress(epochs=4, steps_per_epoch=8, images_per_step=30, first_step=0, started=0.0)
    for epoch in range(2):
        steps_of(shown, epoch, 8)
        assert re.fullmatch(
            rf"epoch {epoch + 1}/4 \[=+\.+\] {25 * (epoch + 1)} %  \d+ seconds to go  loss 1.23  60 images/s",
            terminal.lines[-1],
        )
        shown.on_epoch_end(epoch, {"loss": 1.23456, "test_error": 12.3456})
    values = r"loss 1\.23  test_error 12\.3  learning_rate 0\.03  images/s 60"
    first, *epochs, bar = terminal.lines
    assert first.startswith("first step after")
    assert all(re.fullmatch(rf"epoch {n}/4  {values}", line) for n, line in enumerate(epochs, 1))
    assert len(epochs) == 2
    assert " to go " in bar


def test_what_is_said_beside_the_bar_has_a_line_of_its_own(monkeypatch):
    terminal = a_terminal(monkeypatch)
    shown = progress.Progress(epochs=2, steps_per_epoch=8, images_per_step=30, first_step=0, started=0.0)
    saver = callbacks.SaveAndStop(Saves(), dict, steps_per_epoch=8, first_step=0)
    saver.drawn = lambda: shown.width
    saver.set_model(WITH_RATE)
    steps_of(shown, 0, 3)
    saver.request_stop(signal.SIGINT)
    assert terminal.lines[-2:] == ["stopping after this step; once more stops at once", ""]
    steps_of(shown, 0, 1)
    shown.clear()
    print("stopped by SIGINT")
    assert terminal.lines[-2:] == ["stopped by SIGINT", ""]


def test_what_comes_after_the_last_epoch_is_shown(monkeypatch):
    terminal = a_terminal(monkeypatch)
    shown = progress.Progress(epochs=2, steps_per_epoch=8, images_per_step=30, first_step=0, started=0.0)
    done = shown.stage("evaluating")
    assert terminal.lines[-1] == f"evaluating ... [{20 * '.'}] 0 %"
    done(60, 60)
    assert terminal.lines[-1] == f"evaluating ... [{20 * '='}] 100 %"
    monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    lines = progress.Progress(epochs=2, steps_per_epoch=8, images_per_step=30, first_step=0, started=0.0)
    lines.stage("exporting")(1, 2)
    assert terminal.getvalue().endswith("exporting ...\n")


def test_a_closed_terminal_saves_and_stops_unless_it_is_to_be_ignored():
    saver = callbacks.SaveAndStop(None, dict, steps_per_epoch=10, first_step=0)
    saver.set_model(ALONE)
    before = signal.getsignal(signal.SIGHUP)
    with session.signals_to(saver):
        assert signal.getsignal(signal.SIGHUP) == saver.request_stop
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with session.signals_to(saver):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_fails_at_a_terminal_that_is_closed():
    ours, theirs = os.openpty()
    saver = callbacks.SaveAndStop(None, dict, steps_per_epoch=10, first_step=0)
    saver.set_model(ALONE)
    saver.terminals = [theirs]
    os.close(ours)
    with pytest.raises(OSError, match="Input/output"):
        os.write(theirs, b"x")
    saver.request_stop(signal.SIGHUP)
    assert os.write(theirs, b"x") == 1
    os.close(theirs)


def test_weights_of_another_epoch_are_not_taken_for_the_best(tmp_path):
    """A kill may leave those of a later epoch; the run still ends, and says so."""
    path = tmp_path / "best.weights.npz"
    path.write_bytes(b"of epoch 3")
    best = {"epoch": 3, "error": 1.0, "sha256": weights.digest(b"of epoch 3")}
    assert results._best_weights(path, best) == b"of epoch 3"
    path.write_bytes(b"of epoch 4")
    assert results._best_weights(path, best) is None
    path.unlink()
    assert results._best_weights(path, best) is None
