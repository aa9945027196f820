"""NiN: Network in Network (Lin et al. 2014, arXiv:1312.4400) with BatchNorm, as in the program of Tran 2019.

Lin et al. have no BatchNorm, drop out after both poolings, pool 3 x 3 windows, and end with ten filters. On 32 x 32
images the feature map is 8 x 8 x 192.
"""

import keras

from sesemi.models.layers import conv, norm_relu

SMALLEST = 8
_GROUPS = (((192, 5), (160, 1), (96, 1)), ((192, 5), (192, 1), (192, 1)), ((192, 3), (192, 1), (192, 1)))


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` follows both poolings."""
    x = inputs = keras.Input(input_shape)
    for number, group in enumerate(_GROUPS):
        if number:
            x = keras.layers.MaxPooling2D(2)(x)
            if dropout:
                x = keras.layers.Dropout(dropout)(x)
        for filters, size in group:
            x = norm_relu(conv(x, filters, size))
    return keras.Model(inputs, x, name="nin")
