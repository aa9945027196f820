"""WRN (Zagoruyko & Komodakis 2016, arXiv:1605.07146) in the variant of MixMatch and FixMatch, in any depth and width.

It is the ``ResNet`` of Google's two programs: the first block of a group widens and, from the second group on, halves
by convolutions of stride 2; LeakyReLU 0.1; biases; BatchNorm with momentum .999 and epsilon 1e-3; normal kernels by
the number of filters. At stride 2 TensorFlow's "same" puts the padding of an even image on its right and lower edge.

USB's and TorchSSL's copies for PyTorch differ in three places, which are not followed: they pad all four edges by one,
they activate before the shortcut in every widening block (here only in the first), and their WRN-37-2 halves in the
first group too. Their last layer starts Glorot-normal, as Google's; the class head of this program is Glorot-uniform.
"""

import keras

from sesemi.models.layers import fan_out_normal, norm_relu

_SLOPE, _MOMENTUM = 0.1, 0.999
_BLOCKS = 4


def build(name: str, input_shape: tuple[int, int, int], dropout: float, *, widen: int, groups: int = 3) -> keras.Model:
    """Build a trunk of four blocks a group.

    Args:
        name: Name of the model.
        input_shape: Height, width and channels of the images.
        dropout: Rate between the two convolutions of every block (USB's ``drop_rate``; 0 in all its settings).
        widen: Factor of the widths, which are 16, 32, 64 … times this.
        groups: Number of groups; each but the first halves the image.

    Returns:
        Functional model from ``[B, H, W, C]`` to ``[B, h, w, 16 * widen * 2 ** (groups - 1)]``.
    """
    inputs = keras.Input(input_shape)
    x = _conv(inputs, 16, 3)
    for group in range(groups):
        width = 16 * widen * 2**group
        for block in range(_BLOCKS):
            first = not block
            x = _block(x, width, stride=2 if group and first else 1, activate_before=first and not group, rate=dropout)
    return keras.Model(inputs, _norm(x), name=name)


def _block(x, width: int, stride: int, activate_before: bool, rate: float):
    shortcut, y = x, _norm(x)
    if activate_before:
        shortcut = y
    y = _norm(_conv(y, width, 3, stride))
    if rate:
        y = keras.layers.Dropout(rate)(y)
    y = _conv(y, width, 3)
    if shortcut.shape[-1] != width:
        shortcut = _conv(shortcut, width, 1, stride)
    return keras.layers.Add()([shortcut, y])


def _norm(x):
    return norm_relu(x, _SLOPE, momentum=_MOMENTUM)


def _conv(x, filters: int, size: int, stride: int = 1):
    how = {"strides": stride, "padding": "same", "kernel_initializer": fan_out_normal()}
    return keras.layers.Conv2D(filters, size, **how)(x)
