"""The scripts as a user types them: run, stop, kill, resume, refuse; and what a run leaves."""

import contextlib
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sesemi import config
from sesemi.files import lock
from sesemi.primitives import rng as random

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "train_evaluate_sesemi.py")
SHORT = ["--gpu", "cpu", "--labels", "20", "--epochs", "2", "--steps-per-epoch", "4", "--batch-size", "4"]


def environment():
    return {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND")}


def command(*arguments, timeout=200, **kwargs):
    kwargs = {"cwd": ROOT, "env": environment()} | kwargs
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, check=False, **kwargs
    )


def script(*arguments, **kwargs):
    return command(SCRIPT, *map(str, arguments), **kwargs)


@pytest.fixture
def main(capfd):
    """The command as `script` runs it, in this process, which has started TensorFlow already."""
    from sesemi.commands import train

    def call(*arguments):
        try:
            code = train.main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = stopped.code
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return call


def assert_one_line(done, *words):
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One short run with everything switched on."""
    output = tmp_path_factory.mktemp("runs")
    done = script(*SHORT, "--output", output, "--name", "a", "--labels", "50", "--validation", "0.2")
    assert done.returncode == 0, done.stderr
    return output / "a", done


def test_help_needs_no_tensorflow():
    done = command("-X", "importtime", SCRIPT, "--help")
    assert done.returncode == 0
    assert "--network {convnet,wrn,nin,mini," in done.stdout
    for package in ("tensorflow", "keras", "numpy"):
        assert f" {package}\n" not in done.stderr


def test_a_run_leaves_what_it_should_and_nothing_else(finished):
    folder, done = finished
    assert done.stderr == ""
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "config.json", "confusion.png", "curves.png", "environment.json", "log.csv", "mistakes.png",
        "model.json", "model.keras", "model_best_validation.json", "model_best_validation.keras", "predictions.npz",
        "report.html", "results.json", "split.json", "views.png",
    ]  # fmt: skip
    assert str(folder / "report.html") in done.stdout
    for picture in ("confusion", "curves", "views"):
        assert (folder / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_results_say_what_the_issue_asks_for(finished):
    folder, done = finished
    results = json.loads((folder / "results.json").read_text())
    wanted = (
        "method network dataset labels seed steps test_error test_error_views validation_error class_errors "
        "confusion_matrix seconds images_per_second peak_memory_mib versions best_epoch test_error_at_best_validation"
    )
    assert set(wanted.split()) <= set(results)
    assert (results["method"], results["labels"], results["steps"], results["views"]) == ("sesemi", 50, 8, 4)
    assert np.sum(results["confusion_matrix"]) == 797
    assert f"test error {results['test_error']:.2f} %" in done.stdout
    predictions = np.load(folder / "predictions.npz")
    wrong = predictions["probabilities"].argmax(1) != predictions["labels"]
    assert results["test_error"] == pytest.approx(100 * wrong.mean())


def test_log_has_a_row_an_epoch(finished):
    with open(finished[0] / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert set(rows[0]) == {
        "epoch", "learning_rate", "loss", "supervised", "rotation", "l2", "test_error", "validation_error"
    }  # fmt: skip
    assert float(rows[1]["learning_rate"]) == 0.0


def test_split_is_stored_with_its_hash(finished):
    split = json.loads((finished[0] / "split.json").read_text())
    assert len(split["labeled"]) == 40
    assert len(split["validation"]) == 10
    assert split["sha256"] == json.loads((finished[0] / "results.json").read_text())["split_sha256"]


def test_report_opens_offline_and_shows_settings_and_numbers(finished):
    text = (finished[0] / "report.html").read_text()
    assert text.count("data:image/png;base64,") == 4
    assert "http" not in text
    for words in ("test error", "learning_rate", "as Tran 2019", "Confusion matrix", "Most confident mistakes"):
        assert words in text


def test_the_model_loads_in_plain_keras_and_has_the_reported_error(finished, tmp_path):
    """In a process that knows nothing of sesemi, with an empty folder as its own."""
    data = tmp_path / "test.npz"
    from sesemi import datasets

    digits = datasets.load("digits")
    np.savez(data, images=digits.test_images, labels=digits.test_labels)
    code = (
        "import keras, numpy as np, sys\n"
        f"data = np.load({str(data)!r})\n"
        f"model = keras.models.load_model({str(finished[0] / 'model.keras')!r})\n"
        "probs = model.predict(data['images'], verbose=0)\n"
        "assert data['images'].dtype == np.uint8 and abs(probs.sum(1) - 1).max() < 1e-5\n"
        "assert not any(name.split('.')[0] in ('sesemi', 'models', 'datasets') for name in sys.modules)\n"
        "print(100 * np.mean(probs.argmax(1) != data['labels']))"
    )
    done = command("-c", code, cwd=tmp_path, env=environment() | {"KERAS_BACKEND": "tensorflow"})
    assert done.returncode == 0, done.stderr
    results = json.loads((finished[0] / "results.json").read_text())
    assert float(done.stdout) == pytest.approx(results["test_error"])


def test_a_finished_run_is_not_overwritten(finished, main):
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"}
    done = main("--config", folder / "config.json", "--gpu", "cpu", "--output", folder.parent, "--name", "a")
    assert done.returncode == 0, done.stderr
    assert "is finished already" in done.stdout
    assert "--seed" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"} == before


def test_another_run_in_the_same_folder_is_refused(finished, main):
    done = main(*SHORT, "--output", finished[0].parent, "--name", "a", "--seed", "3")
    assert_one_line(done, "holds another run", "seed is 0 there and 3 here", "--name")


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_line(process, words):
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(process.stderr.read())


# A teacher, a second head and promoted images: all that a checkpoint has to bring back.
EVERYTHING = (
    "--method mean_teacher --self-supervision rotation --exclude-labeled --promote balanced --promote-from 1 "
    "--promote-every 1"
).split()


@pytest.mark.slow
def test_stopped_killed_and_resumed_is_the_same_to_the_bit(tmp_path, main):
    """SIGTERM within an epoch, then kill -9 on the way, then to the end; against a run that nobody disturbed."""
    job = ["--gpu", "cpu", "--epochs", "3", "--steps-per-epoch", "100", "--batch-size", "4", "--output", tmp_path]
    job += EVERYTHING
    whole = script(*job, "--name", "whole")
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "broken"

    first = start(*job, "--name", "broken")
    wait_for_line(first, "mean_teacher on digits")
    wait_for_line(first, "epoch 1/3")
    time.sleep(0.3)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGTERM, err
    assert "the same command continues" in out
    kept = max((folder / "checkpoints").iterdir())
    step = int(kept.name.removeprefix("step-"))
    assert 100 < step < 300
    assert step % 100, "the signal should have come within an epoch"
    assert not (folder / "results.json").exists()

    second = start(*job, "--name", "broken")
    wait_for_line(second, f"continuing {folder} from step {step} of 300")
    time.sleep(1)
    second.kill()
    second.communicate()
    assert second.returncode == -signal.SIGKILL
    with lock(folder):
        assert_one_line(main(*job, "--name", "broken"), "in use by another process")
    third = script(*job, "--name", "broken")
    assert third.returncode == 0, third.stderr
    assert f"from step {step} of 300" in third.stdout

    import keras

    for file in sorted(path.name for path in folder.glob("*.keras")):
        models = [keras.models.load_model(tmp_path / name / file) for name in ("whole", "broken")]
        for a, b in zip(models[0].weights, models[1].weights, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    promoted = [(tmp_path / name / "promoted.csv").read_text() for name in ("whole", "broken")]
    assert promoted[0] == promoted[1]
    assert {line.split(",")[-1] for line in promoted[0].splitlines()[1:]} == {"1", "2"}
    assert (tmp_path / "whole" / "log.csv").read_text() == (folder / "log.csv").read_text()
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "broken")]
    for name in ("test_error", "test_error_views", "confusion_matrix", "train_losses"):
        assert results[0][name] == results[1][name]
    assert not (folder / "checkpoints").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_run_stopped_between_epochs_or_after_the_last_step_loses_nothing(tmp_path, monkeypatch):
    """In this process: a signal right at the end of an epoch; then one at the very end; and a validation set."""
    from sesemi.runs import callbacks
    from sesemi.runs import run as runs

    monkeypatch.setattr(runs, "signals_to", contextlib.nullcontext)
    given = {"labels": 50, "validation": 0.2, "epochs": 3, "steps_per_epoch": 2, "batch_size": 4, "views": 1}
    given |= {"output": str(tmp_path), "quiet": True, "gpu": "cpu"}

    def run(name):
        return runs.run(*config.resolve({**given, "name": name}), say=lambda _: None)

    whole = run("whole")
    ends = []
    original = callbacks.SaveAndStop.on_epoch_end

    def stop_here(self, epoch, logs=None):
        if epoch in (0, 2) and epoch not in ends:
            ends.append(epoch)
            self.request_stop(signal.SIGTERM)
        original(self, epoch, logs)

    monkeypatch.setattr(callbacks.SaveAndStop, "on_epoch_end", stop_here)
    for step in (2, 6):
        with pytest.raises(callbacks.Interrupted, match=f"after step {step}"):
            run("broken")
    broken = run("broken")
    assert (tmp_path / "whole" / "log.csv").read_text() == (tmp_path / "broken" / "log.csv").read_text()
    for name in ("test_error", "confusion_matrix", "train_losses", "best_epoch", "test_error_at_best_validation"):
        assert whole[name] == broken[name]
    leftovers = {path.name for path in (tmp_path / "broken").iterdir()} & {"checkpoints", "best.weights.npz"}
    assert not leftovers


def run_here(tmp_path, name, **given):
    from sesemi.runs import run

    given = {"epochs": 2, "steps_per_epoch": 3, "batch_size": 8, "labels": 50, "views": 1, "gpu": "cpu"} | given
    given |= {"output": str(tmp_path), "quiet": True, "name": name}
    return run.run(*config.resolve(given), say=lambda _: None), tmp_path / name


@pytest.mark.usefixtures("undrawn")
def test_a_method_with_a_teacher_leaves_and_evaluates_both_networks(tmp_path):
    import keras

    from sesemi import datasets

    arguments = {"ema_decay": 0.5, "weight": 3}
    # A tenth of six updates would be less than one: the teacher would be the student.
    given = {"method": "mean_teacher", "validation": 0.2, "arguments": arguments, "ema_part": 1.0}
    found, folder = run_here(tmp_path, "a", **given)
    assert found["evaluated"] == "teacher"
    digits = datasets.load("digits")
    for file, key in (("model.keras", "test_error"), ("model_student.keras", "student_test_error")):
        probs = keras.models.load_model(folder / file).predict(digits.test_images, verbose=0)
        assert found[key] == pytest.approx(100 * np.mean(probs.argmax(1) != digits.test_labels))
    weights = [keras.models.load_model(folder / file).weights for file in ("model.keras", "model_student.keras")]
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(*weights, strict=True))
    assert (folder / "model_best_validation.keras").exists()
    with open(folder / "log.csv") as file:
        (*_, row) = csv.DictReader(file)
    errors = {"test_error", "validation_error", "student_test_error", "student_validation_error"}
    assert errors <= set(row)
    assert float(row["student_test_error"]) == pytest.approx(found["student_test_error"])
    held_out = json.loads((folder / "split.json").read_text())["validation"]
    for file, key in (("model.keras", "validation_error"), ("model_student.keras", "student_validation_error")):
        probs = keras.models.load_model(folder / file).predict(digits.train_images[held_out], verbose=0)
        assert float(row[key]) == pytest.approx(100 * np.mean(probs.argmax(1) != digits.train_labels[held_out]))
    settings = json.loads((folder / "config.json").read_text())["settings"]["method"]["arguments"]
    assert settings == {
        "weight": 3, "consistency": "mse", "ema_decay": 0.5, "two_heads": False, "logit_distance_cost": 0.01,
        "teacher_normalizes_by": "batch", "ramp": "sigmoid", "ramp_up": 0.075,
    }  # fmt: skip


def test_a_method_with_pseudo_labels_logs_how_they_fare_also_over_an_interruption(tmp_path, stop_at):
    """Within an epoch; and the warning of a method that accepts nothing comes once, on whichever side of it."""
    from sesemi.runs import callbacks

    given = {"method": "fixmatch", "epochs": 5, "steps_per_epoch": 3, "strong_operations": 0, "cutout": 0.3}
    given |= {"arguments": {"threshold": 0.9999}}
    whole, folder = run_here(tmp_path, "whole", **given)
    stop_at("on_train_batch_end", lambda saver, _: saver.step == 7)
    with pytest.raises(callbacks.Interrupted, match="after step 8"):
        run_here(tmp_path, "broken", **given)
    broken, other = run_here(tmp_path, "broken", **given)
    for file in ("pseudo_labels.csv", "log.csv"):
        assert (folder / file).read_text() == (other / file).read_text()
    for name in ("mask_ratio", "pseudo_label_accuracy", "accepted_pseudo_labels", "warning", "test_error"):
        assert whole[name] == broken[name]
    assert whole["warning"].startswith("after epoch 2: no pseudo-labels")
    assert (folder / "pseudo_labels.png").read_bytes().startswith(b"\x89PNG")
    with open(folder / "log.csv") as file:
        assert {"mask_ratio", "pseudo_label_accuracy"} <= set(next(csv.DictReader(file)))


@pytest.mark.usefixtures("undrawn")
def test_a_noisy_student_stopped_before_its_first_update_is_born_again(tmp_path, stop_at):
    """A signal right where a student is done: the next one is not in the checkpoint yet."""
    from sesemi.runs import callbacks

    given = {"method": "noisy_student", "epochs": 3, "steps_per_epoch": 4, "strong_operations": 0}
    given |= {"arguments": {"rounds": 2}}
    whole, folder = run_here(tmp_path, "whole", **given)
    stop_at("on_epoch_end", lambda _, epoch: epoch == 0)
    with pytest.raises(callbacks.Interrupted, match="after step 4"):
        run_here(tmp_path, "broken", **given)
    broken, other = run_here(tmp_path, "broken", **given)
    assert (folder / "log.csv").read_text() == (other / "log.csv").read_text()
    assert whole["confusion_matrix"] == broken["confusion_matrix"]
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["pseudo"]) == 0.0
    assert all(float(row["pseudo"]) > 0.0 for row in rows[1:])
    # Each student goes through the whole schedule; a row has the rate of the update after it.
    assert [float(row["learning_rate"]) for row in rows] == [pytest.approx(0.05)] * 2 + [0.0]


@pytest.mark.usefixtures("undrawn")
def test_the_best_epoch_and_promotions_are_those_of_the_teacher(tmp_path, monkeypatch):
    """A teacher that never moves: it is right by chance, and so are what it selects and what it promotes."""
    promoting = {"promote": "balanced", "promote_fraction": 0.05, "promote_from": 1, "promote_every": 5}
    given = {"method": "mean_teacher", "validation": 0.2, "epochs": 3, "steps_per_epoch": 100, "exclude_labeled": True}
    given["arguments"] = {"weight": 0.0}
    from sesemi.assembly import build
    from sesemi.training import teacher

    monkeypatch.setattr(teacher.EMATeacher, "_move", lambda self, pairs, step: None)
    pools, original = [], build.index_batches

    def watch(labeled, unlabeled, **kwargs):
        pools.append((set(labeled.tolist()), set(unlabeled.tolist())))
        return original(labeled, unlabeled, **kwargs)

    monkeypatch.setattr(build, "index_batches", watch)
    found, folder = run_here(tmp_path, "a", **given, **promoting)
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert len({row["test_error"] for row in rows}) == 1
    assert float(rows[-1]["student_test_error"]) < float(rows[-1]["test_error"]) - 10
    best = rows[found["best_epoch"] - 1]
    assert found["test_error_at_best_validation"] == pytest.approx(float(best["test_error"]))
    (record,) = found["promotions"]
    assert record["promoted"] > 0
    assert record["right"] / record["promoted"] < 0.5
    with open(folder / "promoted.csv") as file:
        promoted = {int(row["index"]) for row in csv.DictReader(file)}
    before, after = pools[0], pools[1]
    assert after[0] == before[0] | promoted
    # Left out of the unlabeled pool as labeled images are, unless nothing would be left.
    assert after[1] == (before[1] - promoted or before[1])
    assert not before[1] & before[0]


@pytest.mark.usefixtures("undrawn")
def test_promoted_images_are_trained_on_with_the_labels_they_were_given(tmp_path):
    """All images join after the first epoch, by what the network says of them; the rest of the run is another."""
    promoting = {"promote": "threshold", "promote_threshold": 0.0, "promote_from": 1, "promote_every": 5}
    plain, _ = run_here(tmp_path, "plain", method="supervised", epochs=3)
    found, folder = run_here(tmp_path, "promoted", method="supervised", epochs=3, **promoting)
    (record,) = found["promotions"]
    assert (record["epoch"], record["promoted"]) == (1, 950)
    with open(folder / "promoted.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 950
    assert record["right"] == sum(row["given"] == row["true"] for row in rows)
    labeled = json.loads((folder / "split.json").read_text())["labeled"]
    assert not {int(row["index"]) for row in rows} & set(labeled)
    from sesemi import datasets

    assert all(int(row["true"]) == datasets.load("digits").train_labels[int(row["index"])] for row in rows[:50])
    assert found["train_losses"]["supervised"] != plain["train_losses"]["supervised"]
    assert "Promotions" in (folder / "report.html").read_text()
    never, _ = run_here(tmp_path, "never", method="supervised", epochs=3, **promoting | {"promote_threshold": 1.0})
    assert never["train_losses"] == plain["train_losses"]


@pytest.mark.usefixtures("undrawn")
def test_a_run_can_take_the_labeled_images_of_another(tmp_path, finished):
    folder, _ = finished
    first = json.loads((folder / "results.json").read_text())
    second, _ = run_here(tmp_path, "second", seed=2, labels=None, labels_from=str(folder / "split.json"))
    assert (first["seed"], second["seed"]) == (0, 2)
    assert first["split_sha256"] == second["split_sha256"]
    assert second["labels"] == 50


def test_the_six_way_head_on_another_method_is_sesemi(small):
    """With two trunk calls its term is SESEMI's, to the bit; only BatchNorm's averages differ: of upright images."""
    sesemi, rides = small.model("sesemi"), small.model("supervised", self_supervision=1.0)
    rides.method.head.set_weights(sesemi.method.head.get_weights())
    logs = [small.fit(model).history for model in (sesemi, rides)]
    assert logs[0] == logs[1]
    for a, b in zip(sesemi.trainable_variables, rides.trainable_variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    fresh = [
        small.model("supervised", self_supervision=1.0, trunk_dropout=0),
        small.model("supervised", trunk_dropout=0),
    ]
    for model in fresh:
        views = fresh[0].views(model.pixels(next(iter(small.batches()))), random.Draws(0, 0))
        model.method.loss_terms(views, *model.networks(random.Draws(0, 0)))
    for a, b in zip(*[model.classifier.non_trainable_variables for model in fresh], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("weight=-1", "weight=-1"),
        ("colour=red", "pi_model has no such argument; it has weight, by_labels, both_sides, ramp"),
        ("both_sides=3", "choose from False, True"),
        ("ramp=steep", "choose from none, sigmoid"),
        ("weight", "give NAME=VALUE"),
        ("rotation_weight=1", "no such argument"),
    ],
)
def test_bad_arguments_of_a_method_are_one_line(tmp_path, capsys, given, words):
    from sesemi.commands import train

    with contextlib.suppress(SystemExit):
        code = train.main(
            [*SHORT, "--method", "pi_model", "--set", given, "--output", str(tmp_path / "runs"), "--quiet"]
        )
        assert code == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert words in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--method mixmatch --no-joint-forward --labeled-batch-size 4 --batch-size 8", "equal sizes"),
        ("--method mixmatch --no-joint-forward --regularize-labeled --labeled-batch-size 4", "equal sizes"),
        ("--method temporal_ensembling --regularize-labeled", "leave it out"),
        ("--method mixmatch --self-supervision rotation --set guesses=1.5", "guesses=1.5: a whole number"),
        ("--method vat --self-supervision rotation --set rotation_weight=true", "rotation_weight=True: a number"),
        ("--method vat --self-supervision rotation --set rotation_weight=abc", "rotation_weight=abc: a number"),
        ("--method fixmatch --set target=epoch --regularize-labeled", "leave it out"),
        (
            "--method adamatch --set interpolate=true --no-joint-forward",
            "--set interpolate=true: needs --joint-forward",
        ),
        ("--method fixmatch --strong-level 1.5", "--strong-level 1.5: give a number from 0 to 1, or random"),
        ("--method fixmatch --strong-operations -1", "--strong-operations -1"),
        ("--method fixmatch --cutout 2", "--cutout 2.0"),
        ("--method noisy_student --set rounds=0", "rounds=0"),
        ("--method noisy_student --promote balanced", "--promote balanced: noisy_student trains one student after"),
        ("--method self_tuning --regularize-labeled", "contrasts the labeled images anyway"),
        ("--labels-per-class 4 --labels 40", "--labels-per-class 4: says the same as --labels 40"),
        ("--labels-per-class 0", "--labels-per-class 0: must be 1 or more"),
        ("--labels-per-class 101", "--labels 1010: there are only 1000"),
        ("--labels-from none.txt", "none.txt: cannot be read"),
    ],
)
def test_what_does_not_go_together_is_one_line(tmp_path, capsys, flags, words):
    from sesemi.commands import train

    assert train.main([*flags.split(), "--gpu", "cpu", "--quiet", "--output", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert words in error


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_stops_the_run_clearly(tmp_path, main):
    """A limit on the size of files makes the checkpoint fail as a full disk does."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = script(*SHORT, "--output", tmp_path, "--name", "a", preexec_fn=limit)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "could not be written" in done.stderr
    assert not (tmp_path / "a" / "results.json").exists()
    again = main(*SHORT, "--output", tmp_path, "--name", "a")
    assert again.returncode == 0, again.stderr


def test_divergence_stops_the_run_and_names_the_term(tmp_path, main):
    done = main(*SHORT, "--learning-rate", "1e5", "--output", tmp_path, "--name", "a", "--steps-per-epoch", "40")
    assert done.returncode == 3, done.stderr
    assert "the loss term '" in done.stderr
    assert "at step " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, main):
    (tmp_path / "file").write_text("")
    assert_one_line(script("--dataset", "cifar10", "--labels", "4001"), "4001", "4000 or 4010")
    assert_one_line(main("--network", "resnet"), "resnet")
    missing = main("--dataset", "cifar10", "--data-dir", tmp_path / "none", "--output", tmp_path / "runs")
    assert_one_line(missing, "none", "https://")
    assert not (tmp_path / "runs").exists()
    assert_one_line(main(*SHORT, "--output", tmp_path / "file"), "cannot be written to")


def test_gpu_that_is_not_there_is_said_in_one_line_and_dry_run_writes_nothing(tmp_path):
    job = SHORT[2:]
    done = script(*job, "--gpu", "99", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum("running on the CPU" in line for line in lines) == 1
    assert any(line.startswith("learning_rate ") and "as Tran 2019" in line for line in lines)
    assert any(line.startswith("epochs ") and line.rstrip().endswith("user") for line in lines)
    summary = next(i for i, line in enumerate(lines) if "images/s, " in line and "without evaluation" in line)
    assert lines[summary - 1].startswith("sesemi on digits: ")
    assert summary < next(i for i, line in enumerate(lines) if line.startswith("learning_rate "))
    assert not list(tmp_path.iterdir())


def test_tensorboard_without_the_package_is_refused_at_the_door(tmp_path, monkeypatch):
    from sesemi.errors import InputError
    from sesemi.runs import look

    monkeypatch.setattr(look.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        look.require_tensorboard()


def test_preview_writes_a_picture_and_stops(tmp_path, main):
    done = main(*SHORT, "--preview", "--output", tmp_path, "--name", "a")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a" / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".lock", "preview.png"]


@pytest.mark.parametrize(("method", "said"), [("pi_model", True), ("fixmatch", False)])
def test_strong_views_that_a_method_has_not_are_said_in_one_line(tmp_path, capsys, method, said):
    from sesemi.commands import train

    flags = ["--method", method, "--cutout", "0.2", "--strong-operations", "0", "--preview"]
    assert train.main([*SHORT, *flags, "--output", str(tmp_path), "--name", "a"]) == 0
    out = capsys.readouterr().out
    for flag in ("--cutout", "--strong-operations"):
        assert (f"{flag}: {method} has no strong view; it changes nothing\n" in out) == said


@pytest.mark.usefixtures("undrawn")
def test_quiet_prints_the_result_only_also_in_bfloat16_under_xla(tmp_path, main):
    how = ["--method", "supervised", "--views", "1", "--precision", "bfloat16", "--jit", "on"]
    done = main(*SHORT, *how, "--quiet", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("test error ")
    assert len(done.stdout.splitlines()) == 2
