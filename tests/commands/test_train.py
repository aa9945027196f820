"""``sesemi train`` in this process: its way to the loss, and what it says when it stops."""

import inspect
from pathlib import Path

import pytest
import tensorflow as tf

import sesemi
from sesemi.commands import train
from sesemi.distribution import workers
from sesemi.files import WriteError
from sesemi.methods import METHODS
from sesemi.runs import run
from sesemi.runs.callbacks import Interrupted
from sesemi.training.guard import NonFiniteLossError

SHORT = "--gpu cpu --labels 20 --epochs 1 --steps-per-epoch 1 --batch-size 4 --labeled-batch-size 4 --views 1 --quiet"


def test_from_the_command_line_to_the_loss_there_are_five_own_calls(tmp_path, monkeypatch):
    own, seen = Path(sesemi.__file__).parent, []
    original = METHODS["supervised"].loss_terms

    def loss_terms(self, *arguments):
        frames = [frame for frame in inspect.stack() if own in Path(frame.filename).parents]
        # `fit` of the model is Keras' own, with two lines before it.
        seen.append([f.function for f in frames if not (f.function == "fit" and f.filename.endswith("model.py"))][::-1])
        return original(self, *arguments)

    monkeypatch.setattr(METHODS["supervised"], "loss_terms", loss_terms)
    assert train.main([*SHORT.split(), "--method", "supervised", "--output", str(tmp_path)]) == 0
    assert seen[0] == ["main", "run", "fit", "train_step"], "and the fifth is loss_terms"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NonFiniteLossError("the loss term 'a' became nan at step 3"), 3, "became nan at step 3"),
        (WriteError("log.csv could not be written (full)"), 3, "could not be written"),
        (run.UnreadableError("x.png: broken"), 3, "x.png: broken; once that is mended, the same command continues"),
        (Interrupted(15, 7), 143, "stopped by SIGTERM after step 7; the same command continues"),
        (sesemi.InputError("x", setting="labels", value=3, cure="y"), 2, "train_evaluate_sesemi.py: --labels 3: x; y"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), 2, "--batch-size 4: out of memory; use a smaller one"),
    ],
)
def test_every_end_has_one_line_and_its_code(error, code, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "run", lambda *_, **__: (_ for _ in ()).throw(error))
    arguments = [*SHORT.split(), "--output", str(tmp_path)]
    assert train.main(arguments) == code
    said = "".join(capsys.readouterr())
    assert words in said
    assert len(said.strip().splitlines()) == 1
    if code in (2, 3):
        with pytest.raises(type(error)):
            train.main([*arguments, "--traceback"])


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error", "/some/file"),
        tf.errors.InternalError(None, None, "cuDNN failed"),
        tf.errors.UnknownError(None, None, "nobody knows"),
        ZeroDivisionError("ours"),
    ],
)
def test_what_is_no_fault_of_the_users_is_shown_as_it_is(error, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "run", lambda *_, **__: (_ for _ in ()).throw(error))
    with pytest.raises(type(error)):
        train.main([*SHORT.split(), "--output", str(tmp_path)])
    assert "continue" not in "".join(capsys.readouterr())


def test_a_worker_is_called_gone_only_if_it_is(monkeypatch):
    monkeypatch.setattr(workers, "addresses", lambda: ["here:1", "there:2"])
    monkeypatch.setattr(workers, "number", lambda: 0)
    monkeypatch.setattr(workers, "_answers", lambda _: True)
    assert workers.who_is_gone(tf.errors.InternalError(None, None, "cuDNN failed")) is None
    away = tf.errors.UnavailableError(None, None, "Connection reset by peer, /job:worker/replica:0/task:1")
    assert workers.who_is_gone(away) == "worker 1 (there:2)"
    monkeypatch.setattr(workers, "_answers", lambda _: False)
    assert workers.who_is_gone(tf.errors.InternalError(None, None, "Aborted")) == "worker 1 (there:2)"
    monkeypatch.setattr(workers, "addresses", list)
    assert workers.who_is_gone(away) is None
