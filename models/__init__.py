"""Trunks, one file each, of stock Keras layers: ``build(name, input_shape, dropout)``."""

import importlib

import keras

NETWORKS = {
    "convnet": "sesemi.models.convnet",
    "wrn": "sesemi.models.wrn",
    "nin": "sesemi.models.nin",
    "mini": "sesemi.models.mini",
    # Others' name for the same network.
    "cnn13": "sesemi.models.convnet",
    "shakeshake26": "sesemi.models.shakeshake26",
}


def smallest_side(name: str) -> int:
    """The fewest pixels a side that a network accepts."""
    return _network(name).SMALLEST


def build(name: str, input_shape: tuple[int, int, int], dropout: float = 0.0) -> keras.Model:
    """Build a trunk.

    Args:
        name: a key of `NETWORKS`.
        input_shape: height, width and channels of the images.
        dropout: rate inside the network, in [0, 1).

    Returns:
        A functional model from ``[B, H, W, C]`` float images to a feature map ``[B, h, w, F]``.

    Raises:
        ValueError: unknown name, images smaller than the network can halve, or a dropout that it has no place for.
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
