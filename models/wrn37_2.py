"""WRN-37-2, which FixMatch trains on STL-10: four groups, 5.9 million weights.

See `models.strided_wrn`. On 96 x 96 images the feature map is 12 x 12 x 256.
"""

import keras

from sesemi.models import strided_wrn

SMALLEST = 16


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` lies between the two convolutions of a block."""
    return strided_wrn.build("wrn37_2", input_shape, dropout, widen=2, groups=4)
