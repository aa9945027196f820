"""Loads TensorFlow once, quietly, and gives the tests small data and models."""

import contextlib
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

from sesemi.distribution.start import start_tensorflow  # noqa: E402

start_tensorflow("cpu", cpus=2)

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from sesemi.augmentation import randaugment, views  # noqa: E402
from sesemi.methods import METHODS, WithRotation  # noqa: E402
from sesemi.pipeline.batches import index_batches  # noqa: E402
from sesemi.pipeline.pixels import DevicePixels, visible_labels  # noqa: E402
from sesemi.primitives import replicas  # noqa: E402
from sesemi.training.classifier import Classifier  # noqa: E402
from sesemi.training.model import SemiSupervisedModel  # noqa: E402

# The rooms most of whose tests train whole runs.
WHOLE_RUNS = ("runs", "distribution")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share what is costly to make stay together, in one process; the slow ones come first.

    So no process makes what the other has already, and none is left alone with a long test at the end
    (``--dist=loadgroup --no-loadscope-reorder``).
    """
    order = {}
    for item in items:
        if _shares_a_fixture(item) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))
        slow, position = order.get(_group(item), (False, len(order)))
        order[_group(item)] = (slow or _is_slow(item), position)

    def place(item):
        slow, position = order[_group(item)]
        return not slow, position

    items.sort(key=place)


def _group(item) -> str:
    marker = item.get_closest_marker("xdist_group")
    return item.nodeid if marker is None else marker.args[0]


def _is_slow(item) -> bool:
    return item.get_closest_marker("slow") is not None or item.path.parent.name in WHOLE_RUNS


def _shares_a_fixture(item) -> bool:
    definitions = item._fixtureinfo.name2fixturedefs.values()
    return any(definition[-1].scope == "module" for definition in definitions)


@pytest.fixture(autouse=True)
def _float32():
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def tiny_trunk(trunk_dropout):
    """A convolution, BatchNorm, dropout and another: all that a trunk has, and compiled in a second."""
    x = inputs = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.Dropout(trunk_dropout)(x) if trunk_dropout else x
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(inputs, x, name="tiny")


# To trace and compile RandAugment takes many times as long as all else in a tiny step; test_randaugment does.
CUTOUT_ONLY = randaugment.RandAugment(operations=0, cutout=0.5)


class Small:
    """Forty 8 x 8 images, twelve of them labeled, and models of them that start from the same weights."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.labels = np.arange(40) % 3
        patterns = rng.integers(0, 256, (3, 8, 8, 2))
        noisy = patterns[self.labels] + rng.integers(-40, 41, (40, 8, 8, 2))
        self.images = noisy.clip(0, 255).astype(np.uint8)
        self.labeled, self.unlabeled = np.arange(12), np.arange(40)
        self._batches = {}

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
        joint_forward=False,
        regularize_labeled=False,
        self_supervision=None,
        total_steps=20,
        strategy=None,
        synchronized=False,
        **arguments,
    ):
        keras.utils.set_random_seed(3)
        with replicas.scope(strategy or tf.distribute.get_strategy()):
            trunk = tiny_trunk(trunk_dropout)
            classifier = Classifier(trunk, 3, dropout=0.3, preprocess=preprocess, synchronized=synchronized)
            visible = visible_labels(self.labels, self.labeled) if labels is None else labels
            made = METHODS[method](**arguments)
            model = SemiSupervisedModel(
                classifier,
                made if self_supervision is None else WithRotation(made, self_supervision),
                pixels=DevicePixels(self.images, visible),
                augmentation=views.Augmentation(shift=1, flip=True, noise=0.15, strong=CUTOUT_ONLY),
                seed=5,
                joint_forward=joint_forward,
                regularize_labeled=regularize_labeled,
                total_steps=total_steps,
            )
        with model.distribute_strategy.scope():
            optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
            model.compile(optimizer, jit_compile=jit, run_eagerly=run_eagerly)
            optimizer.build(model.trainable_variables)
        return model

    def batches(self, start=0, stop=3, pool=None):
        pool = self.unlabeled if pool is None else pool
        sizes = {"labeled_batch_size": 6, "batch_size": 6, "seed": 1, "start": start, "stop": stop}
        if tf.distribute.has_strategy():
            return index_batches(self.labeled, pool, **sizes)
        # To trace the order of the images takes as long as ten steps.
        key = (start, stop, pool.tobytes())
        if key not in self._batches:
            self._batches[key] = index_batches(self.labeled, pool, **sizes)
        return self._batches[key]

    def fit(self, model, start=0, stop=3, pool=None, **kwargs):
        return model.fit(self.batches(start, stop, pool), verbose=0, shuffle=False, **kwargs)


@pytest.fixture
def stop_at(monkeypatch):
    """Give it a hook of `SaveAndStop` and a condition: there, once, a run of this process is asked to stop."""
    from sesemi.runs import callbacks, run

    def arrange(hook, when):
        monkeypatch.setattr(run, "signals_to", contextlib.nullcontext)
        original, stops = getattr(callbacks.SaveAndStop, hook), []

        def stops_here(self, number, logs=None):
            if when(self, number) and not stops:
                stops.append(number)
                self.request_stop(signal.SIGTERM)
            original(self, number, logs)

        monkeypatch.setattr(callbacks.SaveAndStop, hook, stops_here)

    return arrange


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures of runs in this process are laid out, but not drawn, which takes a quarter of a short run."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, file, **_: file.write(b"\x89PNG, undrawn"))


@pytest.fixture
def untraced(monkeypatch):
    """Functions are called as they are, and images come in their order.

    To trace and compile them, and the shuffling, takes far longer than what is done with them here.
    """
    in_order = lambda pool, positions, *_: tf.gather(pool, positions % pool.shape[0])  # noqa: E731
    monkeypatch.setattr("sesemi.pipeline.batches._shuffled", in_order)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def small():
    return Small()
