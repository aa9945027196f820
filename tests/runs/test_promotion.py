import csv
import io

import numpy as np
import pytest

from sesemi.runs import promotion

PROBS = np.array([[0.95, 0.05], [0.6, 0.4], [0.2, 0.8], [0.01, 0.99], [0.7, 0.3], [0.999, 0.001]])


def choose(rule, **kwargs):
    return promotion.choose(PROBS, rule, **({"threshold": 0.9, "fraction": 0.5} | kwargs)).tolist()


def test_by_threshold():
    assert choose("threshold") == [0, 3, 5]
    assert choose("threshold", threshold=0.99) == [3, 5]
    assert choose("threshold", threshold=1.0) == []
    assert choose("threshold", threshold=0.0) == [0, 1, 2, 3, 4, 5]


def test_the_same_number_of_every_class():
    """Half of six images over two classes: one and a half, so one each."""
    assert choose("balanced") == [3, 5]
    assert choose("balanced", fraction=0.7) == [0, 2, 3, 5]
    assert choose("balanced", fraction=1.0) == [0, 2, 3, 4, 5]
    assert choose("balanced", fraction=0.0) == []
    with pytest.raises(ValueError, match="no rule 'all'"):
        choose("all")


def test_rightness_by_confidence_leaves_unknown_labels_out():
    truth = np.array([0, 1, 1, 0, -1, -1])
    levels = {level["confidence"]: level for level in promotion.rightness(PROBS, truth)}
    assert tuple(levels) == promotion.LEVELS == (0.9, 0.95, 0.97, 0.99, 0.999)
    assert levels[0.9] == {"confidence": 0.9, "images": 3, "right": 0.5}
    assert levels[0.99] == {"confidence": 0.99, "images": 2, "right": 0.0}
    assert levels[0.999] == {"confidence": 0.999, "images": 1, "right": None}


def test_record_and_csv():
    promotions = promotion.Promotions()
    candidates, truth = np.array([4, 8, 15, 16, 23, 42]), np.array([0, 1, 1, 0, -1, -1])
    promotions.add(3, candidates, PROBS, np.array([0, 3, 5]), truth)
    assert promotions.index.tolist() == [4, 16, 42]
    assert promotions.labels.tolist() == [0, 1, 0]
    assert promotions.done_at(3)
    assert not promotions.done_at(4)
    assert promotions.records[0] | {"levels": None} == {"epoch": 3, "promoted": 3, "right": 1, "levels": None}
    all_truth = np.zeros(43, int)
    all_truth[42] = -1
    rows = list(csv.DictReader(io.StringIO(promotions.to_csv(all_truth))))
    assert [row["index"] for row in rows] == ["4", "16", "42"]
    assert rows[1] == {"index": "16", "confidence": "0.990000", "given": "1", "true": "0", "epoch": "3"}
    assert rows[2]["true"] == ""
    again = promotion.Promotions(**{name: list(value) for name, value in vars(promotions).items()})
    assert again.index.tolist() == promotions.index.tolist()
