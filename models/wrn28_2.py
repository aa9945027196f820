"""WRN-28-2 of MixMatch, FixMatch and USB: 1,469,642 weights with a head of ten classes.

See `models.strided_wrn`; `models.wrn` is the max-pool variant of Tran 2019. On 32 x 32 images the feature map is
8 x 8 x 128.
"""

import keras

from sesemi.models import strided_wrn

SMALLEST = 8


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` lies between the two convolutions of a block."""
    return strided_wrn.build("wrn28_2", input_shape, dropout, widen=2)
