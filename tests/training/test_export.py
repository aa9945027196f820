"""The exported model: what it takes, and what its users can do with it."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from sesemi import models
from sesemi.training import export, preprocess
from sesemi.training.classifier import Classifier
from tests.conftest import tiny_trunk


@pytest.fixture
def classifier():
    return Classifier(tiny_trunk(0.2), 3)


def test_a_teacher_can_be_trained_once_it_is_exported(classifier):
    """As a fresh Keras model can; only what prepares the pixels is frozen."""
    exported = export.build(classifier.frozen_copy("teacher"))
    student = export.build(classifier)
    names = [v.name for v in student.trainable_variables]
    assert [v.name for v in exported.trainable_variables] == names
    assert len(names) == len(classifier.trainable_variables)
    exported.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = [v.numpy() for v in exported.trainable_variables]
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 2)).astype(np.uint8)
    exported.fit(images, np.arange(6) % 3, verbose=0)
    assert all((v.numpy() != old).any() for v, old in zip(exported.trainable_variables, before, strict=True))


def test_floats_answer_as_the_same_pixels(classifier, rng, tmp_path):
    exported = export.build(classifier)
    pixels = rng.integers(0, 256, (4, 8, 8, 2)).astype(np.uint8)
    np.testing.assert_array_equal(exported(pixels), exported(pixels.astype(np.float32)))
    np.testing.assert_array_equal(exported.predict(pixels, verbose=0), exported.predict(np.float64(pixels), verbose=0))
    # Between two whole numbers the answer lies elsewhere: nothing is cut off.
    assert (np.asarray(exported(pixels + 0.5 * (pixels % 2))) != np.asarray(exported(pixels))).any()
    np.testing.assert_allclose(exported(pixels / 255.0), exported(pixels), atol=1e-4)


# Loads each model with the Keras of a folder, and prints its version and the answers.
LOAD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import keras, numpy as np
images = (np.arange(256) ** 2 % 251).reshape(2, 8, 8, 2).astype("uint8")
found = [np.asarray(keras.models.load_model(path)(images)).tolist() for path in sys.argv[2:]]
print(json.dumps([keras.__version__, found]))
"""


@pytest.mark.slow
def test_the_oldest_keras_reads_an_exported_model(tmp_path):
    """It is fetched from the package index; whitening, and every kind of layer that a trunk has, are in the models."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "old")]
    got = subprocess.run([*pip, f"keras=={export.OLDEST_KERAS}"], capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"Keras {export.OLDEST_KERAS} cannot be fetched: {got.stderr.splitlines()[-1:]}")
    images = (np.arange(256) ** 2 % 251).reshape(2, 8, 8, 2).astype(np.uint8)
    paths, answers = [], []
    for name in ("mini", "shakeshake26", "wrn28_2"):
        trunk = models.build(name, (8, 8, 2), 0.0 if name == "shakeshake26" else 0.1)
        front = preprocess.build((8, 8, 2), whiten=True)
        preprocess.set_whitening(front, preprocess.Whitening(np.zeros(128, np.float32), np.float32(0.02 * np.eye(128))))
        exported = export.build(Classifier(trunk, 3, preprocess=front))
        paths.append(tmp_path / f"{name}.keras")
        export.save(exported, paths[-1])
        answers.append(np.asarray(exported(images)))
        assert np.ptp(answers[-1], axis=0).max() > 1e-4
    command = [sys.executable, "-c", LOAD, tmp_path / "old", *paths]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, found = json.loads(done.stdout.splitlines()[-1])
    assert version == export.OLDEST_KERAS
    np.testing.assert_allclose(found, answers, rtol=1e-5, atol=1e-6)


def test_an_exported_model_names_what_differs_from_the_defaults_of_newer_keras(classifier, tmp_path):
    export.save(export.build(classifier), tmp_path / "model.keras")
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras"}
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        text = archive.read("config.json").decode()
    assert '"negative_slope"' in text
    assert not any(f'"{name}"' in text for name in export._ADDED)
    assert export._without_added({"renorm": True, "lora_alpha": None, "units": None}) == {"renorm": True, "units": None}
