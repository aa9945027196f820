"""Mini: a small trunk of our own (about 72,000 parameters) for laptops, demos and tests.

It has six 3 x 3 convolutions in three widths and is halved twice. It takes any images of 8 pixels and up.
"""

import keras

from sesemi.models.layers import conv, norm_relu

SMALLEST = 8


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`; `dropout` follows both poolings."""
    x = inputs = keras.Input(input_shape)
    for number, filters in enumerate((16, 32, 64)):
        if number:
            x = keras.layers.MaxPooling2D(2)(x)
            if dropout:
                x = keras.layers.Dropout(dropout)(x)
        for _ in range(2):
            x = norm_relu(conv(x, filters, 3, use_bias=False))
    return keras.Model(inputs, x, name="mini")
