"""The methods, one short file each, to be read beside its paper."""

from sesemi.methods.asl import ASL
from sesemi.methods.base import Batch, Method, Views
from sesemi.methods.sesemi import SESEMI
from sesemi.methods.supervised import Supervised

METHODS = {"sesemi": SESEMI, "supervised": Supervised, "asl": ASL}

__all__ = ["METHODS", "Batch", "Method", "Views"]
