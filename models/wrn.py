"""WRN-28-2 (Zagoruyko & Komodakis 2016, arXiv:1605.07146) in the max-pool variant of Tran 2019.

The first block of a group widens at stride 1. Groups 2 and 3 are halved by max-pooling after it. Each group
ends with BatchNorm and ReLU; there are no biases; ReLU in place of LeakyReLU. MixMatch's, FixMatch's and USB's WRN-28-2
is another network: `models.wrn28_2`. On 32 x 32 images the feature map is 8 x 8 x 128.
"""

import keras

from sesemi.models.layers import conv, norm_relu

SMALLEST = 8
_BLOCKS = 4


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` lies between the two convolutions of the identity blocks."""
    inputs = keras.Input(input_shape)
    x = norm_relu(conv(inputs, 16, 3, use_bias=False))
    for group, width in enumerate((32, 64, 128)):
        x = _widen(x, width)
        if group:
            x = keras.layers.MaxPooling2D(2)(x)
        for _ in range(_BLOCKS - 1):
            x = _identity_block(x, width, dropout)
        x = norm_relu(x)
    return keras.Model(inputs, x, name="wrn")


def _widen(x, width: int):
    """Add a block whose two paths start from the same input, which is normalized and activated already."""
    y = norm_relu(conv(x, width, 3, use_bias=False))
    y = conv(y, width, 3, use_bias=False)
    return keras.layers.Add()([y, conv(x, width, 1, use_bias=False)])


def _identity_block(x, width: int, dropout: float):
    y = conv(norm_relu(x), width, 3, use_bias=False)
    if dropout:
        y = keras.layers.Dropout(dropout)(y)
    y = conv(norm_relu(y), width, 3, use_bias=False)
    return keras.layers.Add()([x, y])
