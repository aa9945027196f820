"""Alarms about the data of a run."""

import types

import numpy as np

from sesemi.assembly.materials import in_memory
from sesemi.config import resolve
from sesemi.runs import alarms


def materials(labels, test_labels, names=("cat", "dog", "owl"), **given):
    config, _ = resolve({"dataset": "folder", "data_dir": "x", "image_size": 32, **given})
    images = np.zeros((len(labels), 32, 32, 3), np.uint8)
    found = in_memory(images, np.array(labels, np.int32), names, config)
    test = {"test_labels": np.array(test_labels, np.int32)}
    data = types.SimpleNamespace(train_labels=found.data.train_labels, class_names=names, **test)
    return types.SimpleNamespace(config=config, data=data, split=found.split, method=found.method)


def test_a_run_without_unlabeled_images_is_said():
    everywhere = list(range(3)) * 20
    (said,) = alarms.of_data(materials([0, 1, 2, 2], everywhere, method="fixmatch"))
    assert said == "no unlabeled images: fixmatch has only the 4 labeled ones to learn from"
    assert alarms.of_data(materials([0, 1, 2, -1], everywhere, method="fixmatch")) == []
    assert alarms.of_data(materials([0, 1, 2, 2], everywhere, method="supervised")) == []


def test_classes_without_a_test_image_and_a_test_of_two_are_said():
    said = alarms.of_data(materials([0, 1, 2, -1], [0, 0]))
    assert said == [
        "no test image of class dog, owl: the test error leaves them out",
        "only 2 test images: each is 50.0 points of the test error",
    ]
