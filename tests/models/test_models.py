import math

import keras
import numpy as np
import pytest

from sesemi import models
from sesemi.config import registry
from sesemi.methods import METHODS, Sizes
from sesemi.training.classifier import Classifier


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
    method.build(Sizes(features=shape[-1], classes=10, images=None))
    assert classifier.trunk.output_shape[1:] == shape
    assert count(classifier.trainable_variables) + count(method.trainable_variables) == trainable
    assert count(classifier.trunk.non_trainable_variables) == not_trainable


def test_mini_is_small_and_takes_eight_pixels():
    for side in (8, 16, 32):
        trunk = models.build("mini", (side, side, 3))
        assert count(trunk.variables) < 300_000
        assert trunk.output_shape[1:3] == (side // 4, side // 4)


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_settings_of_the_layers(name):
    trunk = models.build(name, (32, 32, 3), 0.0)
    norms = [layer for layer in trunk.layers if isinstance(layer, keras.layers.BatchNormalization)]
    convs = [layer for layer in trunk.layers if isinstance(layer, keras.layers.Conv2D)]
    relus = [layer for layer in trunk.layers if isinstance(layer, keras.layers.ReLU)]
    assert all((layer.momentum, layer.epsilon) == (0.99, 1e-3) for layer in norms)
    assert all(isinstance(layer.kernel_initializer, keras.initializers.HeNormal) for layer in convs)
    if name != "shakeshake26":
        assert {layer.use_bias for layer in convs} == {name in ("convnet", "cnn13", "nin")}
    assert {float(layer.negative_slope) for layer in relus} == {0.1 if name in ("convnet", "cnn13") else 0.0}
    assert all(type(layer).__module__.startswith("keras.") for layer in trunk.layers)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in trunk.layers)


@pytest.mark.parametrize(("name", "places"), [("convnet", 2), ("nin", 2), ("mini", 2), ("wrn", 9)])
def test_dropout_inside_the_trunk(name, places):
    trunk = models.build(name, (32, 32, 3), 0.5)
    assert [layer.rate for layer in trunk.layers if isinstance(layer, keras.layers.Dropout)] == [0.5] * places


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_kernels_have_the_he_normal_spread(name):
    keras.utils.set_random_seed(0)
    for layer in models.build(name, (32, 32, 3)).layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] > 8:
            fan_in = math.prod(layer.kernel.shape[:3])
            assert abs(np.std(layer.kernel.numpy()) / math.sqrt(2 / fan_in) - 1) < 0.1


def test_shakeshake26_has_the_published_size_and_two_branches_a_block():
    """26.2 million parameters, as Gastaldi 2017 says of 2x96d; CIFAR images end as 8 x 8 x 384."""
    trunk = models.build("shakeshake26", (32, 32, 3))
    assert trunk.output_shape[1:] == (8, 8, 384)
    assert round(count(trunk.trainable_variables) / 1e6, 1) == 26.2
    averages = [layer for layer in trunk.layers if isinstance(layer, keras.layers.Average)]
    assert len(averages) == 12
    assert all(len(layer.input) == 2 for layer in averages)
    # Two 3 x 3 convolutions in each branch, and the first: 26 layers deep with the head.
    assert sum(layer.kernel_size == (3, 3) for layer in trunk.layers if isinstance(layer, keras.layers.Conv2D)) == 49
    with pytest.raises(ValueError, match="no place"):
        models.build("shakeshake26", (32, 32, 3), 0.5)


def test_the_shortcut_of_shakeshake26_sees_even_and_odd_pixels():
    from sesemi.models import shakeshake26

    inputs = keras.Input((4, 4, 1))
    halve = keras.Model(inputs, shakeshake26._halve(inputs, 2))
    for layer in halve.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(halve(image)[0, :, :, 0], [[0, 2], [8, 10]])
    np.testing.assert_array_equal(halve(image)[0, :, :, 1], [[5, 7], [13, 15]])


def test_cnn13_is_another_name_of_convnet():
    configs = [[layer.get_config() for layer in models.build(n, (32, 32, 3), 0.5).layers] for n in ("cnn13", "convnet")]
    for first, second in zip(*configs, strict=True):
        first.pop("name")
        second.pop("name")
    assert [c.get("filters") for c in configs[0]] == [c.get("filters") for c in configs[1]]
    assert [c.get("kernel_size") for c in configs[0]] == [c.get("kernel_size") for c in configs[1]]


def test_registry_matches_the_command_line():
    assert tuple(registry.NETWORKS) == registry.NETWORKS


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="at least 12 pixels a side are needed, got 8 x 8"):
        models.build("convnet", (8, 8, 1))
    assert models.smallest_side("convnet") == 12
    with pytest.raises(ValueError, match="no network 'vgg'"):
        models.build("vgg", (32, 32, 3))
