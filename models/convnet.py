"""ConvNet: the thirteen-layer network of Laine & Aila 2017 (Table 5) without its noise, as in Tran 2019.

Weights, biases and BatchNorm are Tran's. Laine & Aila normalize the weights and the batch's mean alone, start from
another spread, and drop half of the units out after both poolings. Others call it CNN-13. On 32 x 32 images the
feature map is 6 x 6 x 128.
"""

import keras

from sesemi.models.layers import conv, norm_relu

SMALLEST = 12
_SLOPE = 0.1


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` follows both poolings."""
    x = inputs = keras.Input(input_shape)
    for filters in (128, 256):
        for _ in range(3):
            x = norm_relu(conv(x, filters, 3), _SLOPE)
        x = keras.layers.MaxPooling2D(2)(x)
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
    x = norm_relu(conv(x, 512, 3, padding="valid"), _SLOPE)
    for filters in (256, 128):
        x = norm_relu(conv(x, filters, 1), _SLOPE)
    return keras.Model(inputs, x, name="convnet")
