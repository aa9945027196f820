"""Global contrast normalization and ZCA whitening as frozen stock Keras layers, so that they are exported too.

Krizhevsky 2009, §3.2; scale 55 and ridge 0.1 as in Tran 2019 (and Goodfellow et al. 2013 before it).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

_CHUNK = 5000
# Features of an image.
_MOST_WHITENED = 64 * 64 * 3
# Number that is added to the variance, on the 0 … 255 scale. One pixel off by one in a 32 x 32 x 3 image has a variance
# of 3e-4. Rounding of a constant image has 1e-9, and must not be blown up to norm 55 (in float32 the guard of 2019, a
# norm of 1e-10, does that).
_EPSILON = 1e-6


class Whitening(NamedTuple):
    """Whitening ``z = (x - mean) @ matrix`` of flattened normalized images.

    Args:
        mean: ``[F]`` float32.
        matrix: ``[F, F]`` float32, symmetric.
    """

    mean: np.ndarray
    matrix: np.ndarray


def build(shape: tuple[int, int, int], *, scale: float = 55.0, whiten: bool = False) -> keras.Model:
    """Return layers from raw pixels to the input of the trunk.

    GCN of an image is ``scale * (x - mean(x)) / ||x - mean(x)||``, over all its pixels and channels. It is a
    LayerNormalization without scale and offset, times ``scale / sqrt(H W C)``.

    Args:
        shape: Height, width and channels.
        scale: Norm of an image after GCN.
        whiten: True adds the ZCA layer; `set_whitening` fills it.

    Returns:
        A frozen model from ``[B, H, W, C]``, of any type of number, to float32 of the same shape. Floats are taken as
        they are, nothing is rounded; since GCN divides by the norm, images in 0 … 1 give what those in 0 … 255 give.
    """
    features = math.prod(shape)
    layers = [
        keras.layers.Rescaling(1.0, dtype="float32", name="to_float"),
        keras.layers.LayerNormalization(
            axis=(1, 2, 3), center=False, scale=False, epsilon=_EPSILON, dtype="float32", name="gcn"
        ),
        keras.layers.Rescaling(scale / math.sqrt(features), dtype="float32", name="gcn_scale"),
    ]
    if whiten:
        layers += [
            keras.layers.Flatten(dtype="float32"),
            keras.layers.Dense(features, kernel_initializer="zeros", dtype="float32", name="zca"),
            keras.layers.Reshape(shape, dtype="float32"),
        ]
    # An input of uint8 would cut the fractions of floats off, and under mixed precision a Sequential would round them.
    x = inputs = keras.Input(shape, dtype="float32")
    for layer in layers:
        x = layer(x)
    model = keras.Model(inputs, x, name="preprocess")
    # The constructor's argument would freeze the container only, not the whitening inside it.
    model.trainable = False
    return model


def set_whitening(preprocess: keras.Model, whitening: Whitening) -> None:
    """Fill the ZCA layer of `build`."""
    mean, matrix = whitening
    preprocess.get_layer("zca").set_weights([matrix, -mean @ matrix])


def fit_whitening(images: np.ndarray, *, scale: float = 55.0, ridge: float = 0.1) -> Whitening:
    """Fit ZCA on training images, chunk by chunk; no float copy of them all is made.

    ``matrix = U diag(1 / sqrt(S)) U^T`` with ``U S U^T = cov + ridge * I``, the covariance divided by ``N - 1``.

    Args:
        images: ``[N, H, W, C]`` uint8.
        scale: Scale of the GCN before it.
        ridge: Number that is added to the covariance's diagonal, before the decomposition.

    Returns:
        Mean and matrix.

    Raises:
        ValueError: If there are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"whitening needs at least two images, got {len(images)}")
    normalize = build(images.shape[1:], scale=scale)
    features = math.prod(images.shape[1:])
    total, products = np.zeros(features), np.zeros((features, features))
    for start in range(0, len(images), _CHUNK):
        rows = np.asarray(normalize(images[start : start + _CHUNK])).reshape(-1, features)
        total += rows.sum(axis=0, dtype=np.float64)
        products += rows.T @ rows
    mean = total / len(images)
    covariance = (products - len(images) * np.outer(mean, mean)) / (len(images) - 1)
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(features))
    matrix = (vectors / np.sqrt(values)) @ vectors.T
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32))


def can_be_whitened(shape: Sequence[int]) -> bool:
    """Return whether ZCA is feasible: the covariance has features squared, its decomposition takes features cubed.

    Args:
        shape: Height, width and channels of the images.
    """
    return math.prod(shape) <= _MOST_WHITENED
