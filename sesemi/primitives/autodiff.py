"""Gradients with respect to images, for methods that look for the worst perturbation: a door to TensorFlow."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def input_gradient(function: Callable[[Any], Any], at):
    """Return the gradient of ``function(at)``, a scalar, with respect to `at`. No gradient flows through the result.

    Args:
        function: Function of a tensor like `at`.
        at: Float tensor.
    """
    at = tf.stop_gradient(at)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        value = function(at)
    return tf.stop_gradient(tape.gradient(value, at))
