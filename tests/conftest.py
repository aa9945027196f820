"""Loads TensorFlow once, quietly, and gives the tests small data and models."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

from sesemi import cli, quiet  # noqa: E402

cli.select_device("cpu")
cli.prepare_tensorflow()
quiet.load_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import models  # noqa: E402
from sesemi import augment, pipeline, training  # noqa: E402
from sesemi.classifier import Classifier  # noqa: E402
from sesemi.methods import METHODS  # noqa: E402


@pytest.fixture(autouse=True)
def _float32():
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


class Small:
    """Forty 8 x 8 images, twelve of them labeled, and models of them that start from the same weights."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.labels = np.arange(40) % 3
        patterns = rng.integers(0, 256, (3, 8, 8, 2))
        noisy = patterns[self.labels] + rng.integers(-40, 41, (40, 8, 8, 2))
        self.images = noisy.clip(0, 255).astype(np.uint8)
        self.labeled, self.unlabeled = np.arange(12), np.arange(40)

    def model(
        self,
        method,
        *,
        labels=None,
        jit=False,
        run_eagerly=False,
        trunk_dropout=0.2,
        learning_rate=0.05,
        preprocess=None,
        **arguments,
    ):
        keras.utils.set_random_seed(3)
        trunk = models.build("mini", (8, 8, 2), trunk_dropout)
        classifier = Classifier(trunk, 3, dropout=0.3, preprocess=preprocess)
        visible = pipeline.visible_labels(self.labels, self.labeled) if labels is None else labels
        model = training.SemiSupervisedModel(
            classifier,
            METHODS[method](**arguments),
            pixels=pipeline.DevicePixels(self.images, visible),
            augmentation=augment.Augmentation(shift=1, flip=True, noise=0.15),
            seed=5,
        )
        optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
        model.compile(optimizer, jit_compile=jit, run_eagerly=run_eagerly)
        optimizer.build(model.trainable_variables)
        return model

    def batches(self, start=0, stop=3):
        return pipeline.index_batches(
            self.labeled, self.unlabeled, labeled_batch_size=6, batch_size=4, seed=1, start=start, stop=stop
        )

    def fit(self, model, start=0, stop=3, **kwargs):
        return model.fit(self.batches(start, stop), verbose=0, shuffle=False, **kwargs)


@pytest.fixture(scope="session")
def small():
    return Small()
