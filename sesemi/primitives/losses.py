"""Losses, each a scalar float32; the reduction is part of the definition.

Targets never carry a gradient, unless a function says so. A weight is meaningless without its reduction, so each
docstring says what is divided by what (N rows, C classes).
"""

import keras
from keras import ops


def softmax(logits):
    """Return class probabilities ``[N, C]`` float32 of logits of any float type."""
    return ops.softmax(ops.cast(logits, "float32"))


def cross_entropy(labels, logits, mask=None):
    """Return ``1/N sum_i -m_i log softmax(z_i)[y_i]``.

    Rows that the mask leaves out count in N (FixMatch's convention).

    Args:
        labels: ``[N]`` int, each in ``0 … C - 1``.
        logits: ``[N, C]`` of any float type; computed in float32.
        mask: ``[N]`` weights of the rows, default 1; no gradient flows into them.
    """
    logits = ops.cast(logits, "float32")
    mask = None if mask is None else ops.stop_gradient(ops.cast(mask, "float32"))
    return _mean_of_rows(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True), mask)


def soft_cross_entropy(targets, logits, mask=None):
    """Return ``1/N sum_i m_i sum_c -t_ic log p_ic``.

    Rows that the mask leaves out count in N (FixMatch's convention).

    Args:
        targets: ``[N, C]`` probabilities; no gradient flows into them.
        logits: ``[N, C]``.
        mask: ``[N]`` weights of the rows, default 1.
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"))
    return _mean_of_rows(-ops.sum(ops.stop_gradient(targets) * log_probs, axis=-1), mask)


def mse(targets, probs, mask=None, *, stop_targets: bool = True):
    """Return ``1/(N C) sum (p - t)^2``, the mean over all elements (Laine & Aila 2017, Tarvainen & Valpola 2017).

    Args:
        targets: ``[N, C]``.
        probs: ``[N, C]``.
        mask: ``[N]`` weights of the rows, default 1.
        stop_targets: False lets the gradient into both sides.
    """
    targets, probs = ops.cast(targets, "float32"), ops.cast(probs, "float32")
    targets = ops.stop_gradient(targets) if stop_targets else targets
    return _mean_of_rows(ops.mean(ops.square(probs - targets), axis=-1), mask)


def kl_divergence(targets, logits, mask=None):
    """Return ``1/N sum_i KL(t_i || softmax(z_i))``, summed over the classes and never divided by C.

    Args:
        targets: ``[N, C]`` probabilities; no gradient flows into them.
        logits: ``[N, C]``.
        mask: ``[N]`` weights of the rows, default 1.
    """
    targets = ops.stop_gradient(targets)
    log_probs = ops.log_softmax(ops.cast(logits, "float32"))
    return _mean_of_rows(ops.sum(targets * (_log(targets) - log_probs), axis=-1), mask)


def entropy(logits):
    """Return ``1/N sum_i H(softmax(z_i))``, with its gradient."""
    logits = ops.cast(logits, "float32")
    return ops.mean(-ops.sum(ops.softmax(logits) * ops.log_softmax(logits), axis=-1))


def sharpen(probs, temperature: float):
    """Return ``p^(1/T) / sum p^(1/T)``, computed in log space, where tiny probabilities do not underflow.

    Args:
        probs: ``[N, C]``.
        temperature: Temperature T, above 0. With 1 nothing changes; towards 0 the largest probability takes all.
    """
    return ops.softmax(_log(probs) / temperature)


def sum_of_squares(kernels):
    """Return the sum of all ``w**2``, without a factor 1/2 (Keras' convention: its gradient is ``2 w``)."""
    return sum((ops.sum(ops.square(ops.cast(kernel, "float32"))) for kernel in kernels), ops.zeros(()))


def _mean_of_rows(rows, mask):
    return ops.mean(rows if mask is None else rows * ops.cast(mask, "float32"))


def _log(probs):
    return ops.log(ops.maximum(probs, 1e-30))
