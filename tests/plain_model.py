"""A model of three numpy arrays, for what needs no more of Keras; it loads no TensorFlow."""

import types

import numpy as np


class _Variable:
    """All that a checkpoint asks of a variable of Keras."""

    def __init__(self, name, value):
        self.name, self.path, self.value = name, name, np.float32(value)
        self.dtype, self.shape = "float32", self.value.shape

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = value


def plain_model(seed=0, size=4):
    values = np.random.default_rng(seed).normal(size=(3, size))
    model = types.SimpleNamespace(variables=[_Variable("kernel", values[0]), _Variable("bias", values[1])])
    model.weights, model.optimizer = model.variables, types.SimpleNamespace(variables=[_Variable("slot", values[2])])
    return model
