"""Alarms about the data of a run, and about its two networks."""

import types

import numpy as np

from sesemi.assembly.materials import in_memory
from sesemi.config import resolve
from sesemi.runs import alarms


def materials(labels, test_labels, names=("cat", "dog", "owl"), **given):
    config, _ = resolve({"dataset": "folder", "data_dir": "x", "image_size": 32, **given})
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 32, 32, 3)).astype(np.uint8)
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


def test_a_teacher_that_is_far_behind_its_student_on_labeled_pictures_is_told():
    """150 pictures of hand signs: the exported teacher had 13.0 % error, and its student 3.75 %."""
    told = alarms.networks_apart({"teacher": 13.0, "student": 3.75}, 150)
    assert told.startswith("on 150 labeled pictures the teacher, which is exported, has 13.00 % error, and the stude")
    assert "model_student.keras; a smaller `ema_part`" in told
    assert alarms.networks_apart({"teacher": 3.0, "student": 13.0}, 150) is None
    assert alarms.networks_apart({"student": 10.0, "teacher": 0.0}, 20) is None
    assert alarms.networks_apart({"student": 15.0, "teacher": 0.0}, 20).endswith("look at both")
    assert alarms.networks_apart({"teacher": 1.9, "student": 0.0}, 2000) is None
