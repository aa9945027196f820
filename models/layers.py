"""Two layers, with settings that most trunks share, and the initial kernels of others' programs."""

import keras


def fan_out_normal(scale: float = 2.0):
    """Return an initializer: normal, with variance ``scale / (kernel height * kernel width * filters)``.

    He et al. 2015, eq. 14, as Google's FixMatch, USB and Mean Teacher's program have it. Keras' ``he_normal`` counts
    the channels that come in, and cuts the tails off.
    """
    return keras.initializers.VarianceScaling(scale, mode="fan_out", distribution="untruncated_normal")


def conv(x, filters: int, size: int, *, padding: str = "same", use_bias: bool = True):
    """Add a stride-1 convolution with a He-normal kernel (Tran 2019)."""
    return keras.layers.Conv2D(filters, size, padding=padding, use_bias=use_bias, kernel_initializer="he_normal")(x)


def norm_relu(x, slope: float = 0.0, *, momentum: float = 0.99):
    """Add BatchNorm and ReLU, leaky below zero by `slope`.

    BatchNorm's momentum .99 and epsilon 1e-3 are both Keras' own and Tran's.
    """
    x = keras.layers.BatchNormalization(momentum=momentum, epsilon=1e-3)(x)
    return keras.layers.ReLU(negative_slope=slope)(x) if slope else keras.layers.ReLU()(x)
