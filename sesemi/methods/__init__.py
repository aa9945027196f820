"""Methods, one short file each, to be read beside its paper.

Notation of the docstrings: x is a labeled image, y its label, u an unlabeled image. ``A(x)`` is a weak view, ``S(x)`` a
strong one. p is the student's class probabilities, p' those of the teacher, q a target. CE is the cross-entropy, H the
entropy, sg stops the gradient. ``[condition]`` is 1 where the condition holds, else 0. C is the number of classes. N or
``mu B`` is the number of unlabeled images in a batch. ``w(t)`` is the weight w times its ramp. ``q ~ v`` means that q
is v, normalized to a sum of 1. ``l ~ Beta(a, a)`` is a random draw.
"""

import importlib

from sesemi.config import registry
from sesemi.methods.base import Batch, Method, Sizes, Views
from sesemi.methods.with_rotation import WithRotation


def _class(place: str) -> type[Method]:
    module, name = place.split(":")
    return getattr(importlib.import_module(f"sesemi.methods.{module}"), name)


METHODS = {name: _class(place) for name, place in registry.METHODS.items()}

__all__ = ["METHODS", "Batch", "Method", "Sizes", "Views", "WithRotation"]
