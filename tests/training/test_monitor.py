"""Counts of pseudo-labels against numpy, that truth is counted and never learned, and when the alarm sounds."""

import csv
import io
import math

import numpy as np
import pytest

from sesemi.pipeline import pixels
from sesemi.runs import alarms
from sesemi.training import monitor


def counted(*batches, classes=3):
    found = monitor.PseudoLabelMonitor(classes)
    for batch in batches:
        found.update_state(*map(np.asarray, batch))
    return found


def test_counts_and_shares():
    found = counted(([0, 1, 1, 2], [1.0, 1.0, 0.5, 0.0], [0, 2, 1, 2]), ([0, 0], [1.0, 1.0], [-1, 1]))
    row = found.row(4)
    assert row["epoch"] == 4
    assert row["shown"] == 6
    assert row["accepted"] == [3.0, 1.5, 0.0]
    assert row["known"] == [2.0, 1.5, 0.0]
    assert row["right"] == [1.0, 0.5, 0.0]
    shares = found.result()
    assert float(shares["mask_ratio"]) == pytest.approx(4.5 / 6)
    assert float(shares["pseudo_label_accuracy"]) == pytest.approx(1.5 / 3.5)


def test_where_nothing_is_known_there_is_no_accuracy():
    for truth, mask in (([-1, -1], [1.0, 1.0]), ([0, 0], [0.0, 0.0])):
        assert math.isnan(counted(([0, 1], mask, truth)).result()["pseudo_label_accuracy"])


def rows(*accepted, shown=1000.0):
    blank = [0.0] * len(accepted[0])
    return [{"epoch": n, "shown": shown, "accepted": a, "known": blank, "right": blank} for n, a in enumerate(accepted)]


def cure(epochs, method="fixmatch", arguments=("weight", "threshold")):
    return alarms.Cure(method, arguments, [f"class {number}" for number in range(10)], epochs)


EVEN, ONE, NONE = [50.0] * 10, [500.0] + [1.0] * 9, [0.0] * 10


@pytest.mark.parametrize(
    ("accepted", "epochs", "words"),
    [
        ([EVEN] * 20, 20, None),
        ([ONE] * 2, 20, "1.1 of 10 classes (98 % are of 'class 0')"),
        ([ONE], 20, None),
        ([ONE, EVEN, ONE, EVEN], 20, None),
        # A tenth of a longer run.
        ([ONE] * 9, 100, None),
        ([ONE] * 10, 100, "collapse"),
        ([NONE] * 3, 20, None),
        ([NONE] * 4, 20, "no pseudo-labels: in the last 4 epochs"),
        ([[0.5] + [0.0] * 9] * 4, 20, "no pseudo-labels"),
        # Two classes of a size are no collapse, and one of two is.
        ([[300.0, 200.0]] * 5, 10, None),
        ([[500.0, 1.0]] * 5, 10, "collapse"),
        # Three of ten classes are, four are not.
        ([[100.0] * 3 + [0.0] * 7] * 2, 20, "3.0 of 10"),
        ([[100.0] * 4 + [0.0] * 6] * 2, 20, None),
    ],
)
def test_the_alarm(accepted, epochs, words):
    text = alarms.alarm(rows(*accepted), cure(epochs))
    assert (text is None) == (words is None)
    assert words is None or (words in text and "try" in text)


def test_the_advice_is_what_the_method_can_do():
    texts = {
        method: [alarms.alarm(rows(*[kind] * 4), cure(20, method, arguments)) for kind in (ONE, NONE)]
        for method, arguments in (("fixmatch", ("weight", "threshold")), ("softmatch", ("weight",)))
    }
    collapse, empty = texts["fixmatch"]
    ways = "a smaller `arguments.weight=…`; or a higher `arguments.threshold=…`; or `method=adamatch` or `method=soft"
    assert ways in collapse
    assert "try a lower `arguments.threshold=…`; or more labels" in empty
    collapse, empty = texts["softmatch"]
    assert "threshold=" not in collapse + empty
    assert "`method=adamatch` or `method=debiasmatch`," in collapse
    assert "`method=flexmatch` or `method=freematch`," in empty


def test_there_is_no_alarm_while_no_image_has_a_pseudo_label_yet():
    assert alarms.alarm(rows(*[NONE] * 10, shown=0.0), cure(20)) is None
    found = counted(([0, 1, 0], [0.0, 1.0, 0.0], [0, 1, 2], [0.0, 1.0, 0.0]))
    assert (found.row(1)["shown"], float(found.result()["mask_ratio"])) == (1.0, 1.0)


def test_the_first_alarm_stays_the_same_whatever_comes_after_it():
    history = rows(EVEN, EVEN, ONE, ONE, ONE, EVEN, NONE)
    assert alarms.first_alarm(history, cure(20))[0] == 3
    assert alarms.first_alarm(history[:3], cure(20)) is None


def test_csv_has_a_line_an_epoch_and_class():
    found = counted(([0, 1], [1.0, 0.25], [0, -1]))
    lines = list(csv.DictReader(io.StringIO(alarms.to_csv([found.row(1), found.row(2)], "abc"))))
    assert [(line["epoch"], line["class"]) for line in lines] == [(e, c) for e in "12" for c in "abc"]
    assert lines[1]["accepted"] == "0.25"
    assert lines[0]["right"] == "1"
    assert lines[1]["with_known_truth"] == "0"


def with_truth(small, truth, **kwargs):
    """Of which the labeled images' is not counted, as it is known."""
    model = small.model("fixmatch", threshold=0.0, **kwargs)
    visible = pixels.visible_labels(small.labels, small.labeled)
    model.pixels = pixels.DevicePixels(small.images, visible, truth=truth)
    return model


@pytest.mark.parametrize("regularize_labeled", [False, True])
def test_a_model_counts_what_its_method_reports_against_the_truth(small, regularize_labeled):
    model = with_truth(small, np.where(small.labels == 2, -1, small.labels), regularize_labeled=regularize_labeled)
    logs = small.fit(model, stop=4).history
    row = model.monitor.row(1)
    assert row["shown"] == sum(row["accepted"]) == (48 if regularize_labeled else 24)
    # Images of class 2 have no known truth, and labeled ones are no guess.
    index = np.concatenate([b["unlabeled"] for b in small.batches(stop=4)])
    counted = (small.labels[index] != 2) & ~np.isin(index, small.labeled)
    assert 0 < sum(row["known"]) == counted.sum() < len(index)
    assert logs["mask_ratio"] == [1.0]
    assert logs["pseudo_label_accuracy"] == [pytest.approx(sum(row["right"]) / sum(row["known"]))]
    small.fit(model, stop=1)
    assert model.monitor.row(2)["shown"] == (12 if regularize_labeled else 6), "counts are of one epoch"


def test_truth_is_counted_and_never_learned(small):
    models = [with_truth(small, truth) for truth in (small.labels, 2 - small.labels)]
    rows = []
    for model in models:
        small.fit(model, stop=6)
        rows.append(model.monitor.row(1))
    assert rows[0]["right"] != rows[1]["right"]
    for a, b in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
