import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi import models
from sesemi.config import registry
from sesemi.primitives import layers
from sesemi.primitives import rng as random


def pair(dtype="float32"):
    pair = [cls(dtype=dtype) for cls in (keras.layers.BatchNormalization, layers.FusedBatchNormalization)]
    for layer in pair:
        layer.build((None, 5, 6, 4))
        layer.gamma.assign([1.0, 2.0, 0.5, -1.0])
        layer.beta.assign([0.0, 1.0, -1.0, 0.3])
    return pair


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("mixed_bfloat16", 5e-2)])
def test_fused_batch_norm_trains_as_the_stock_layer(rng, dtype, tolerance, jit):
    x = (3 * rng.normal(size=(3, 5, 6, 4)) + 2).astype(np.float32)
    weight = rng.normal(size=(3, 5, 6, 4)).astype(np.float32)
    found = []
    for layer in pair(dtype):

        @tf.function(jit_compile=jit)
        def step(x, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                loss = tf.reduce_sum(tf.cast(y, tf.float32) * weight)
            return y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

        outputs = [np.asarray(tf.cast(v, tf.float32)) for v in step(tf.constant(x))]
        found.append([*outputs, layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    for stock, fused in zip(*found, strict=True):
        np.testing.assert_allclose(fused, stock, rtol=tolerance, atol=tolerance * 20)
    np.testing.assert_allclose(found[0][-1], found[1][-1], rtol=1e-4)


def test_fused_batch_norm_in_inference_is_the_stock_layer(rng):
    x = rng.normal(size=(3, 5, 6, 4)).astype(np.float32)
    stock, fused = pair()
    np.testing.assert_array_equal(stock(x, training=False), fused(x, training=False))


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_swapping_keeps_weights_and_answers(name, rng):
    trunk = models.build(name, (16, 16, 3), 0.0 if name == "shakeshake26" else 0.3)
    trained = layers.for_training(trunk)
    back = layers.for_export(trained)
    kinds = {type(layer) for layer in trained.layers}
    assert keras.layers.BatchNormalization not in kinds
    assert keras.layers.Dropout not in kinds
    assert all(type(layer).__module__.startswith("keras.") for layer in back.layers)
    x = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(trained(x, training=False), trunk(x, training=False), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(back(x), trunk(x))


def test_dropout_is_a_function_of_step_and_call():
    layer, x = layers.StepDropout(0.4), np.ones((200, 50), np.float32)

    def masks(step):
        with random.dropout_from(random.Draws(1, step)):
            return [np.asarray(layer(x, training=True)) for _ in range(2)]

    first, again, other = masks(3), masks(3), masks(4)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    assert (first[0] != other[0]).any()
    assert abs((first[0] == 0).mean() - 0.4) < 0.02
    np.testing.assert_allclose(first[0][first[0] != 0], 1 / 0.6, rtol=1e-6)
    np.testing.assert_array_equal(layer(x, training=False), x)


def test_dropout_layers_of_a_trunk_differ():
    trained = layers.for_training(models.build("mini", (8, 8, 1), 0.5))
    salts = [layer.salt for layer in trained.layers if isinstance(layer, layers.StepDropout)]
    assert len(salts) == len(set(salts)) == 2


def test_shake_shake_mixes_forward_and_backward_by_independent_draws(rng):
    first, second = (tf.constant(rng.normal(size=(3, 2, 2, 1)), tf.float32) for _ in range(2))
    layer = layers.ShakeShake()
    layer.salt = "trunk/0"
    with random.dropout_from(random.Draws(1, 2)), tf.GradientTape() as tape:
        tape.watch([first, second])
        mixed = layer([first, second], training=True)
        total = tf.reduce_sum(mixed)
    backward, backward_2 = (g.numpy() for g in tape.gradient(total, [first, second]))
    forward = ((mixed - second) / (first - second)).numpy()
    for draws in (forward, backward):
        assert (draws >= -1e-4).all()
        assert (draws <= 1.0001).all()
        # One draw for an image, another for the next.
        assert np.ptp(draws.reshape(3, -1), axis=1).max() < 1e-3
        assert np.ptp(draws.reshape(3, -1)[:, 0]) > 0.05
    np.testing.assert_allclose(backward + backward_2, 1.0, rtol=1e-5)
    assert np.abs(forward - backward).max() > 0.05
    np.testing.assert_allclose(layer([first, second], training=False), (first + second) / 2, rtol=1e-6)


def test_batch_norm_can_be_kept_from_remembering(rng):
    x = rng.normal(size=(3, 5, 6, 4)).astype(np.float32)
    _, layer = pair()
    with layers.averages_kept():
        kept = layer(x, training=True)
        np.testing.assert_array_equal(layer.moving_mean, np.zeros(4))
        layer.trainable = False
        np.testing.assert_array_equal(layer(x, training=True), kept)
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False))
    layer.trainable = True
    np.testing.assert_array_equal(layer(x, training=True), kept)
    assert np.abs(layer.moving_mean.numpy()).max() > 0
