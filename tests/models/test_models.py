import math

import keras
import numpy as np
import pytest

from sesemi import models
from sesemi.config import registry
from sesemi.methods import METHODS, Sizes
from sesemi.training.classifier import Classifier

STRIDED = ("wrn28_2", "wrn28_8", "wrn37_2")


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
    published = {"shakeshake26": (0.9, 1e-5), **dict.fromkeys(STRIDED, (0.999, 1e-3))}
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {published.get(name, (0.99, 1e-3))}
    if name != "shakeshake26":
        assert {layer.use_bias for layer in convs} == {name in ("convnet", "cnn13", "nin", *STRIDED)}
    assert {float(layer.negative_slope) for layer in relus} == {0.1 if name in ("convnet", "cnn13", *STRIDED) else 0.0}
    assert all(type(layer).__module__.startswith("keras.") for layer in trunk.layers)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in trunk.layers)


@pytest.mark.parametrize(("name", "places"), [("convnet", 2), ("nin", 2), ("mini", 2), ("wrn", 9), ("wrn28_2", 12)])
def test_dropout_inside_the_trunk(name, places):
    trunk = models.build(name, (32, 32, 3), 0.5)
    assert [layer.rate for layer in trunk.layers if isinstance(layer, keras.layers.Dropout)] == [0.5] * places


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_kernels_have_the_spread_of_their_source(name):
    """Of Tran's networks by the channels that come in (He et al. 2015), of the others' by the filters."""
    keras.utils.set_random_seed(0)
    by_filters = name in (*STRIDED, "shakeshake26")
    for layer in models.build(name, (32, 32, 3)).layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] > 8:
            height, width, channels, filters = layer.kernel.shape
            halves = 2 if name == "shakeshake26" and layer.use_bias else 1
            variance = 2 / (height * width * (filters * halves if by_filters else channels))
            assert abs(np.std(layer.kernel.numpy()) / math.sqrt(variance) - 1) < 0.1


def weights_with_a_head(name, side, classes):
    trunk = models.build(name, (side, side, 3))
    return count(trunk.trainable_variables) + (trunk.output_shape[-1] + 1) * classes


def test_the_wide_networks_of_fixmatch_have_the_published_number_of_weights():
    assert weights_with_a_head("wrn28_2", 32, 10) == 1_469_642
    assert round(weights_with_a_head("wrn28_8", 32, 100) / 1e6, 1) == 23.4
    assert round(weights_with_a_head("wrn37_2", 96, 10) / 1e6, 1) == 5.9
    assert models.build("wrn28_2", (32, 32, 3)).output_shape[1:] == (8, 8, 128)


def test_wrn37_2_has_a_fourth_group():
    trunk = models.build("wrn37_2", (96, 96, 3))
    assert trunk.output_shape[1:] == (12, 12, 256)
    # Four groups of four blocks with two convolutions each, and the first: 37 layers deep with four shortcuts.
    kernels = [layer.kernel_size for layer in trunk.layers if isinstance(layer, keras.layers.Conv2D)]
    assert (kernels.count((3, 3)), kernels.count((1, 1))) == (33, 4)


def random_weights(model):
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = [rng.normal(size=w.shape) for w in layer.get_weights()]
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [0.5 + np.abs(value) for value in values]
        layer.set_weights(values)


def convolve(images, layer, before, after):
    """Slide a kernel over ``[B, H, W, C]`` in float64, with so many zeros before and after."""
    kernel, *bias = layer.get_weights()
    size, stride = kernel.shape[0], layer.strides[0]
    edges = (before, after)
    padded = np.pad(np.float64(images), ((0, 0), edges, edges, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    found = np.einsum("bhwcij,ijcf->bhwf", windows, np.float64(kernel))
    return found + bias[0] if bias else found


def normalize(images, layer, epsilon):
    gamma, beta, mean, variance = layer.get_weights()
    return (images - mean) / np.sqrt(variance + epsilon) * gamma + beta


def test_a_branch_of_shakeshake26_pads_and_normalizes_as_the_authors_program():
    """PyTorch: padding 1 on every edge at stride 2 too, epsilon 1e-5."""
    from sesemi.models import shakeshake26

    inputs = keras.Input((6, 6, 2))
    branch = keras.Model(inputs, shakeshake26._branch(inputs, 3, stride=2))
    random_weights(branch)
    first, second = [layer for layer in branch.layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in branch.layers if isinstance(layer, keras.layers.BatchNormalization)]
    images = np.random.default_rng(1).normal(size=(2, 6, 6, 2)).astype(np.float32)
    x = normalize(convolve(np.maximum(images, 0), first, 1, 1), norms[0], 1e-5)
    expected = normalize(convolve(np.maximum(x, 0), second, 1, 1), norms[1], 1e-5)
    assert expected.shape == (2, 3, 3, 3)
    np.testing.assert_allclose(branch(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("activate_before", [True, False])
def test_a_widening_block_of_fixmatch_is_that_of_its_program(activate_before):
    """TensorFlow: at stride 2 an even image is padded on its right and lower edge; the shortcut sees even pixels."""
    from sesemi.models import strided_wrn

    inputs = keras.Input((6, 6, 2))
    block = keras.Model(inputs, strided_wrn._block(inputs, 3, stride=2, activate_before=activate_before, rate=0.0))
    random_weights(block)
    convs = [layer for layer in block.layers if isinstance(layer, keras.layers.Conv2D)]
    first, second = [layer for layer in convs if layer.kernel_size == (3, 3)]
    shortcut = next(layer for layer in convs if layer.kernel_size == (1, 1))
    norms = [layer for layer in block.layers if isinstance(layer, keras.layers.BatchNormalization)]
    images = np.random.default_rng(1).normal(size=(2, 6, 6, 2)).astype(np.float32)

    def leaky(x):
        return np.where(x > 0, x, 0.1 * x)

    active = leaky(normalize(images, norms[0], 1e-3))
    x = leaky(normalize(convolve(active, first, 0, 1), norms[1], 1e-3))
    way = convolve(active if activate_before else images, shortcut, 0, 0)
    np.testing.assert_allclose(block(images), way + convolve(x, second, 1, 1), rtol=1e-4, atol=1e-4)


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
