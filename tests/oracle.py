"""A batch and a linear network in which every method can be written out in plain numpy.

The network's logits are ``flattened image @ matrix``; what a method draws at random is read from the same named draws.
"""

import numpy as np
import tensorflow as tf

from sesemi.methods.base import Batch, Sizes
from sesemi.primitives import rng as random

CLASSES, PIXELS = 3, 8
TINY = np.longdouble("1e-4900")
SIZES = Sizes(features=PIXELS, classes=CLASSES, images=9, values=PIXELS, labeled=3)
INDEX = np.array([7, 2, 5, 0])


class Linear:
    """Stands for `sesemi.training.network.Network`; writes down how it was called."""

    def __init__(self, matrix, joint=True):
        self.matrix, self.joint, self.calls = tf.constant(matrix, tf.float32), joint, []

    def features(self, *batches, **how):
        self.calls += [(batch.shape[0], how) for batch in batches]
        found = tuple(tf.reshape(batch, (batch.shape[0], -1)) for batch in batches)
        return found if len(found) > 1 else found[0]

    def maps(self, *batches, **how):
        found = self.features(*batches, **how)
        found = found if len(batches) > 1 else (found,)
        return tuple(tf.reshape(features, (-1, 1, 1, PIXELS)) for features in found)

    def logits(self, features, **how):
        return features @ self.matrix

    def together(self, *batches, **how):
        self.calls += [(batch.shape[0], how) for batch in batches]
        return tuple(tf.reshape(batch, (batch.shape[0], -1)) @ self.matrix for batch in batches)

    def __call__(self, images, **how):
        return self.together(images, **how)[0]


SCALES = {"usual": 1.0, "uniform": 0.0, "saturated": 300.0}


class World:
    """A batch and two networks, and the same in numpy."""

    def __init__(
        self, views, scale=1.0, unlabeled=4, labeled=4, progress=0.5, step=3, seed=1, also_labeled=0, index=INDEX
    ):
        rng = np.random.default_rng(seed)
        self.student, self.teacher = (Linear(scale * rng.normal(size=(PIXELS, CLASSES))) for _ in range(2))
        self.x = rng.normal(size=(labeled, 2, 2, 2)).astype(np.float32)
        self.u = [rng.normal(size=(unlabeled, 2, 2, 2)).astype(np.float32) for _ in range(views)]
        self.y = np.arange(labeled) % CLASSES
        self.draws = random.Draws(3, step).at("method")
        self.index = np.asarray(index)[:unlabeled]
        self.also = [rng.normal(size=self.x.shape).astype(np.float32) for _ in range(also_labeled)]
        self.batch = Batch(
            tf.constant(self.x), tf.constant(self.y), tuple(map(tf.constant, self.u)), tf.constant(self.index),
            tf.constant(step, tf.int64), tf.constant(progress, tf.float32), self.draws,
            tuple(map(tf.constant, self.also)),
        )  # fmt: skip

    def terms(self, method):
        method.check()
        if not method.built:
            method.build(SIZES)
        found = method.loss_terms(self.batch, self.student, self.teacher)
        assert tuple(found) == tuple(method.terms)
        return {name: float(value) for name, value in found.items()}

    def p(self, images, network=None):
        return softmax(flat(images) @ (network or self.student).matrix.numpy().astype(np.longdouble))

    @property
    def supervised(self):
        return cross_entropy(np.eye(CLASSES)[self.y], self.p(self.x))


def flat(images):
    # Of this type the smallest number is 1e-4932: even saturated probabilities have a logarithm.
    return images.reshape(len(images), -1).astype(np.longdouble)


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def cross_entropy(targets, probs, mask=1.0):
    return np.mean(mask * -np.sum(targets * np.log(np.maximum(probs, TINY)), axis=1))


def mse(a, b, mask=1.0):
    return np.mean(mask * ((a - b) ** 2).mean(axis=1))


def kl(targets, probs, mask=1.0):
    log = np.log(np.maximum(targets, TINY)) - np.log(np.maximum(probs, TINY))
    return np.mean(mask * np.sum(targets * log, axis=1))


def ramp(x):
    return np.exp(-5 * (1 - x) ** 2)


def one_hot(probs):
    return np.eye(CLASSES)[probs.argmax(1)]


def mixed(a, b, ratio):
    ratio = ratio.reshape(-1, *[1] * (a.ndim - 1))
    return ratio * a + (1 - ratio) * b


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)
