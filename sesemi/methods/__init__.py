"""The methods, one short file each, to be read beside its paper."""

import importlib

from sesemi.config import registry
from sesemi.methods.base import Batch, Method, Sizes, Views
from sesemi.methods.with_rotation import WithRotation


def _class(place: str) -> type[Method]:
    module, name = place.split(":")
    return getattr(importlib.import_module(f"sesemi.methods.{module}"), name)


METHODS = {name: _class(place) for name, place in registry.METHODS.items()}

__all__ = ["METHODS", "Batch", "Method", "Sizes", "Views", "WithRotation"]
