"""Shake-Shake 26 2x96d (Gastaldi 2017, arXiv:1705.07485), the residual network of Tarvainen & Valpola 2017.

It has twelve blocks, 96, 192 and 384 wide, of two branches with two convolutions each. Each block averages its branches
here. In training they are shaken (`sesemi.primitives.layers.ShakeShake` takes the place of each Average). On 32 x 32
images the feature map is 8 x 8 x 384.

Padding, BatchNorm (momentum .9, epsilon 1e-5) and initial kernels are those of the authors' PyTorch program
(``cifar_shakeshake26``); its two halves of the shortcut are one grouped convolution there. Only the biases of that
convolution start elsewhere: at zero, and PyTorch's are uniform in +-1 / sqrt(channels).
"""

import keras

from sesemi.errors import InputError
from sesemi.models.layers import fan_out_normal

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
    x = _conv(inputs, 16, 3)
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
        shortcut = _norm(_conv(x, width, 1))
    return keras.layers.Add()([shortcut, keras.layers.Average()(branches)])


def _branch(x, width: int, stride: int):
    x = _conv(keras.layers.ReLU()(x), width, 3, stride)
    x = keras.layers.ReLU()(_norm(x))
    return _norm(_conv(x, width, 3))


def _norm(x):
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _conv(x, filters: int, size: int, stride: int = 1):
    """Add a convolution without bias, padded by one on every edge if it is 3 x 3.

    At stride 2 Keras' "same" would pad an even image on its right and lower edge alone.
    """
    padding = "same"
    if stride > 1:
        x, padding = keras.layers.ZeroPadding2D(size // 2)(x), "valid"
    how = {"strides": stride, "padding": padding, "use_bias": False, "kernel_initializer": fan_out_normal()}
    return keras.layers.Conv2D(filters, size, **how)(x)


def _halve(x, width: int):
    """Halve an image: every second pixel, and every second pixel of the image moved by one.

    Each half goes through its own 1 x 1 convolution.
    """
    x = keras.layers.ReLU()(x)
    odd = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))(keras.layers.Cropping2D(((1, 0), (1, 0)))(x))
    halves = [keras.layers.AveragePooling2D(1, strides=2)(pixels) for pixels in (x, odd)]
    # Both halves count as one convolution of `width` filters, as in the authors' program.
    convs = [keras.layers.Conv2D(width // 2, 1, kernel_initializer=fan_out_normal(1.0)) for _ in halves]
    return keras.layers.Concatenate()([conv(half) for conv, half in zip(convs, halves, strict=True)])
