"""WRN-28-8, which FixMatch and USB train on CIFAR-100: 23.4 million weights.

See `models.strided_wrn`. On 32 x 32 images the feature map is 8 x 8 x 512.
"""

import keras

from sesemi.models import strided_wrn

SMALLEST = 8


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` lies between the two convolutions of a block."""
    return strided_wrn.build("wrn28_8", input_shape, dropout, widen=8)
