"""Trunks, one file each, of stock Keras layers: ``build(name, input_shape, dropout)``."""

import importlib

import keras

NETWORKS = {
    "convnet": "sesemi.models.convnet",
    "wrn": "sesemi.models.wrn",
    "nin": "sesemi.models.nin",
    "mini": "sesemi.models.mini",
    # Name that others give to the same network as convnet.
    "cnn13": "sesemi.models.convnet",
    "shakeshake26": "sesemi.models.shakeshake26",
}


def smallest_side(name: str) -> int:
    """Return the smallest side of images, in pixels, that a network accepts."""
    return _network(name).SMALLEST


def build(name: str, input_shape: tuple[int, int, int], dropout: float = 0.0) -> keras.Model:
    """Build a trunk.

    Args:
        name: Key of `NETWORKS`.
        input_shape: Height, width and channels of the images.
        dropout: Rate inside the network, in [0, 1).

    Returns:
        A functional model from ``[B, H, W, C]`` float images to a feature map ``[B, h, w, F]``.

    Raises:
        ValueError: If the name is unknown, the images are smaller than the network can halve, or it has no place for
            dropout.
    """
    network = _network(name)
    if min(input_shape[:2]) < network.SMALLEST:
        raise ValueError(
            f"--network {name}: images of at least {network.SMALLEST} pixels a side are needed, "
            f"got {input_shape[0]} x {input_shape[1]}"
        )
    return network.trunk(input_shape, dropout)


def _network(name: str):
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; choose from {', '.join(NETWORKS)}")
    return importlib.import_module(NETWORKS[name])
