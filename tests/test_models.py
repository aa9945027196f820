import math

import keras
import numpy as np
import pytest

import models
from sesemi import presets
from sesemi.classifier import Classifier
from sesemi.methods import METHODS


def count(variables):
    return sum(math.prod(v.shape) for v in variables)


@pytest.mark.parametrize(
    ("name", "shape", "trainable", "not_trainable"),
    [
        ("convnet", (6, 6, 128), 3_124_624, 4_096),
        ("wrn", (8, 8, 128), 1_468_384, 3_616),
        ("nin", (8, 8, 192), 1_008_400, 3_200),
    ],
)
def test_parameters_with_both_heads_are_those_of_2019(name, shape, trainable, not_trainable):
    classifier = Classifier(models.build(name, (32, 32, 3)), 10)
    method = METHODS["sesemi"]()
    method.build((None, shape[-1]))
    assert classifier.trunk.output_shape[1:] == shape
    assert count(classifier.trainable_variables) + count(method.trainable_variables) == trainable
    assert count(classifier.trunk.non_trainable_variables) == not_trainable


def test_mini_is_small_and_takes_eight_pixels():
    for side in (8, 16, 32):
        trunk = models.build("mini", (side, side, 3))
        assert count(trunk.variables) < 300_000
        assert trunk.output_shape[1:3] == (side // 4, side // 4)


@pytest.mark.parametrize("name", models.NETWORKS)
def test_settings_of_the_layers(name):
    trunk = models.build(name, (32, 32, 3), 0.0)
    norms = [layer for layer in trunk.layers if isinstance(layer, keras.layers.BatchNormalization)]
    convs = [layer for layer in trunk.layers if isinstance(layer, keras.layers.Conv2D)]
    relus = [layer for layer in trunk.layers if isinstance(layer, keras.layers.ReLU)]
    assert all((layer.momentum, layer.epsilon) == (0.99, 1e-3) for layer in norms)
    assert all(isinstance(layer.kernel_initializer, keras.initializers.HeNormal) for layer in convs)
    assert {layer.use_bias for layer in convs} == {name in ("convnet", "nin")}
    assert {float(layer.negative_slope) for layer in relus} == {0.1 if name == "convnet" else 0.0}
    assert all(type(layer).__module__.startswith("keras.") for layer in trunk.layers)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in trunk.layers)


@pytest.mark.parametrize(("name", "places"), [("convnet", 2), ("nin", 2), ("mini", 2), ("wrn", 9)])
def test_dropout_inside_the_trunk(name, places):
    trunk = models.build(name, (32, 32, 3), 0.5)
    assert [layer.rate for layer in trunk.layers if isinstance(layer, keras.layers.Dropout)] == [0.5] * places


@pytest.mark.parametrize("name", models.NETWORKS)
def test_kernels_have_the_he_normal_spread(name):
    keras.utils.set_random_seed(0)
    for layer in models.build(name, (32, 32, 3)).layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] > 8:
            fan_in = math.prod(layer.kernel.shape[:3])
            assert abs(np.std(layer.kernel.numpy()) / math.sqrt(2 / fan_in) - 1) < 0.1


def test_registry_matches_the_command_line():
    assert tuple(models.NETWORKS) == presets.NETWORKS


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="at least 12 pixels a side are needed, got 8 x 8"):
        models.build("convnet", (8, 8, 1))
    assert models.smallest_side("convnet") == 12
    with pytest.raises(ValueError, match="no network 'vgg'"):
        models.build("vgg", (32, 32, 3))
