"""Random numbers as a pure function of (seed, step, replica, name): the same eager, in a graph and under XLA.

`keras.random` cannot do this: it keeps its position in a variable that checkpoints leave out, and its floats differ
under XLA. Here Philox (Salmon et al. 2011) gives the bits, and the floats are made of them.
"""

import collections
import contextlib
import contextvars
import math
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from keras import ops

# Key that TensorFlow scrambles the seeds of stateless random numbers with
# (`stateless_random_ops._philox_scramble_seed`).
_SCRAMBLING_KEY = np.array([0x02461E293EC8F720], np.uint64)
Shape = Sequence[int] | tf.Tensor
_dropout_draws: contextvars.ContextVar["Draws | None"] = contextvars.ContextVar("dropout_draws", default=None)


class Draws:
    """Named random draws of one step; the same name gives the same numbers, another name independent ones.

    Args:
        seed: Seed of the run, in ``0 … 2**31 - 1``.
        step: Number of updates so far, a Python int or a scalar int64 tensor, below ``2**47``.
        replica: Number of the device, from 0. Where a draw has a row for each image, replica r has block r of the
            numbers that one device alone would draw for all images. So the number of devices changes no view.
    """

    def __init__(self, seed: int, step: int | tf.Tensor, replica: int = 0, _path: str = ""):
        self._seed, self._path, self._calls = seed, _path, collections.Counter()
        self._position, self._replica = tf.cast(step, tf.int64) * 2**16, replica

    def at(self, name: str) -> "Draws":
        """Return the draws below `name`, as a folder is below another."""
        child = object.__new__(Draws)
        child._seed, child._position, child._path = self._seed, self._position, f"{self._path}/{name}"
        child._replica = self._replica
        child._calls = collections.Counter()
        return child

    def next_call(self, name: str) -> "Draws":
        """Return the draws `at` a name with the number of calls so far, for a layer that is called several times."""
        self._calls[name] += 1
        return self.at(f"{name}/{self._calls[name]}")

    def _bits(self, name: str, shape: Shape) -> tf.Tensor:
        salt = zlib.crc32(f"{self._path}/{name}".encode())
        key = tf.stack([tf.constant(self._seed * 2**32 + salt, tf.int64), self._position])
        if not self._replica:
            return tf.random.stateless_uniform(shape, seed=key, minval=None, maxval=None, dtype=tf.uint32, alg="philox")
        size = tf.reduce_prod(tf.cast(shape, tf.int64))
        return tf.reshape(_philox(key, self._replica * size, size), shape)

    def uniform(self, name: str, shape: Shape) -> tf.Tensor:
        """Draw float32 in [0, 1), multiples of 2**-24."""
        high = tf.bitcast(tf.bitwise.right_shift(self._bits(name, shape), tf.constant(8, tf.uint32)), tf.int32)
        return tf.cast(high, tf.float32) * 2.0**-24

    def normal(self, name: str, shape: Shape) -> tf.Tensor:
        """Draw float32 of mean 0 and standard deviation 1, by the inverse of the distribution function; within ±5.3."""
        high = tf.bitcast(tf.bitwise.right_shift(self._bits(name, shape), tf.constant(9, tf.uint32)), tf.int32)
        centred = (tf.cast(high, tf.float32) + 0.5) * 2.0**-22 - 1.0
        return math.sqrt(2.0) * ops.erfinv(centred)

    def integers(self, name: str, shape: Shape, low: int, high: int) -> tf.Tensor:
        """Draw int32 in ``low … high``, both included, for ranges far below 2**24."""
        return low + tf.cast(tf.floor(self.uniform(name, shape) * (high - low + 1)), tf.int32)

    def permutation(self, name: str, count: int) -> tf.Tensor:
        """Draw a random order of ``0 … count - 1``, int32."""
        return tf.argsort(self.uniform(name, (count,)), stable=True)

    def beta(self, name: str, shape: Shape, alpha: float) -> tf.Tensor:
        """Draw float32 in [0, 1] of the symmetric distribution Beta(alpha, alpha), by a table of its quantiles.

        `keras.random.beta` has no XLA kernel. The table is exact at 4,097 points and linear between them.
        """
        quantiles = tf.constant(_beta_quantiles(alpha), tf.float32)
        place = self.uniform(name, shape) * (quantiles.shape[0] - 1)
        left = tf.cast(tf.floor(place), tf.int32)
        low, high = tf.gather(quantiles, left), tf.gather(quantiles, left + 1)
        return low + (high - low) * (place - tf.cast(left, tf.float32))


def _philox(seed: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return numbers `start` to ``start + size - 1`` of those that `tf.random.stateless_uniform` gives for a seed."""
    # TensorFlow does it like this: the seed is a counter. The first four numbers behind it are the key and the high
    # half of the next counter. The low half counts numbers in fours from 0.
    mixed = _philox_words(tf.constant(_SCRAMBLING_KEY), tf.cast(seed, tf.uint64), 4)
    key, high = tf.split(tf.bitcast(tf.reshape(mixed, [2, 2]), tf.uint64), 2)
    counter = tf.concat([tf.cast(start[None] // 4, tf.uint64), high], axis=0)
    words = _philox_words(key, counter, (start % 4 + size + 3) // 4 * 4)
    return tf.slice(words, [start % 4], [size])


def _philox_words(key, counter, size):
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.reshape(size, [1]), key=key, counter=counter, alg=1, dtype=tf.uint32
    )


def _beta_quantiles(alpha: float):
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, np.linspace(0.0, 1.0, 4097))


@contextlib.contextmanager
def dropout_from(draws: Draws) -> Iterator[None]:
    """Let `sesemi.primitives.layers.StepDropout` take its masks from `draws` inside this context."""
    token = _dropout_draws.set(draws)
    try:
        yield
    finally:
        _dropout_draws.reset(token)


def dropout_draws() -> Draws | None:
    """Return the draws that `dropout_from` set, or None outside of it."""
    return _dropout_draws.get()
