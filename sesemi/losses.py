"""Losses, each a scalar float32; the reduction is part of the definition."""

import keras
from keras import ops


def cross_entropy(labels, logits):
    """Mean over the batch of ``-log softmax(logits)[label]``.

    Args:
        labels: ``[B]`` int, each in ``0 … C - 1``.
        logits: ``[B, C]`` of any float type; computed in float32.
    """
    logits = ops.cast(logits, "float32")
    return ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def sum_of_squares(kernels):
    """Sum of all ``w**2``, without a factor 1/2 (Keras' convention: its gradient is ``2 w``)."""
    return sum((ops.sum(ops.square(ops.cast(kernel, "float32"))) for kernel in kernels), ops.zeros(()))
