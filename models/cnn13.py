"""CNN-13: others' name for `convnet`."""

from sesemi.models.convnet import SMALLEST, trunk

__all__ = ["SMALLEST", "trunk"]
