"""Shake-Shake 26 2x96d (Gastaldi 2017, arXiv:1705.07485), the residual network of Tarvainen & Valpola 2017.

It has twelve blocks, 96, 192 and 384 wide, of two branches with two convolutions each. Each block averages its branches
here. In training they are shaken (`sesemi.primitives.layers.ShakeShake` takes the place of each Average). On 32 x 32
images the feature map is 8 x 8 x 384.
"""

import keras

from sesemi.errors import InputError
from sesemi.models.layers import conv

SMALLEST = 8
_BLOCKS = 4


def trunk(input_shape: tuple[int, int, int], dropout: float) -> keras.Model:
    """Build the trunk, see `models.build`.

    Raises:
        ValueError: If a dropout is given: the published network has no place for it.
    """
    if dropout:
        raise InputError("shakeshake26 has no place for it", setting="trunk_dropout", value=dropout, cure="use 0")
    inputs = keras.Input(input_shape)
    x = conv(inputs, 16, 3, use_bias=False)
    for group, width in enumerate((96, 192, 384)):
        for block in range(_BLOCKS):
            x = _block(x, width, stride=2 if group and not block else 1)
    return keras.Model(inputs, x, name="shakeshake26")


def _block(x, width: int, stride: int):
    branches = [_branch(x, width, stride) for _ in range(2)]
    shortcut = x
    if stride > 1:
        shortcut = _norm(_halve(x, width))
    elif x.shape[-1] != width:
        shortcut = _norm(conv(x, width, 1, use_bias=False))
    return keras.layers.Add()([shortcut, keras.layers.Average()(branches)])


def _branch(x, width: int, stride: int):
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = keras.layers.ReLU()(_norm(x))
    return _norm(conv(x, width, 3, use_bias=False))


def _norm(x):
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)


def _halve(x, width: int):
    """Halve an image: every second pixel, and every second pixel of the image moved by one.

    Each half goes through its own 1 x 1 convolution.
    """
    x = keras.layers.ReLU()(x)
    odd = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))(keras.layers.Cropping2D(((1, 0), (1, 0)))(x))
    halves = [keras.layers.AveragePooling2D(1, strides=2)(pixels) for pixels in (x, odd)]
    return keras.layers.Concatenate()([conv(half, width // 2, 1) for half in halves])
