"""Trunks, one file each, of stock Keras layers: ``build(name, input_shape, dropout)``."""

import importlib

import keras

from sesemi import keras_settings as keras_settings
from sesemi.errors import InputError


def smallest_side(name: str) -> int:
    """Return the fewest pixels a side that a network accepts."""
    return _network(name).SMALLEST


def build(name: str, input_shape: tuple[int, int, int], dropout: float = 0.0) -> keras.Model:
    """Build a trunk.

    Args:
        name: Name of a file of this folder.
        input_shape: Height, width and channels of the images.
        dropout: Rate inside the network, in [0, 1).

    Returns:
        Functional model from ``[B, H, W, C]`` float images to a feature map ``[B, h, w, F]``.

    Raises:
        ValueError: If the name is unknown, the images are smaller than the network can halve, or it has no place for
            the dropout.
    """
    network = _network(name)
    if min(input_shape[:2]) < network.SMALLEST:
        raise InputError(
            (
                f"images of at least {network.SMALLEST} pixels a side are needed, got {input_shape[0]} x "
                f"{input_shape[1]}"
            ),
            setting="network",
            value=name,
        )
    return network.trunk(input_shape, dropout)


def _network(name: str):
    try:
        return importlib.import_module(f"sesemi.models.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"sesemi.models.{name}":
            raise
        raise ValueError(f"no network {name!r}: models/ has no file of that name") from None
