"""Two layers, with settings that all trunks share."""

import keras


def conv(x, filters: int, size: int, *, padding: str = "same", use_bias: bool = True):
    """Add a stride-1 convolution with a He-normal kernel (Tran 2019)."""
    return keras.layers.Conv2D(filters, size, padding=padding, use_bias=use_bias, kernel_initializer="he_normal")(x)


def norm_relu(x, slope: float = 0.0):
    """Add BatchNorm and ReLU, leaky below zero by `slope`.

    BatchNorm's momentum .99 and epsilon 1e-3 are both Keras' own and Tran's.
    """
    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)
    return keras.layers.ReLU(negative_slope=slope)(x) if slope else keras.layers.ReLU()(x)
