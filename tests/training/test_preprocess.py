import keras
import numpy as np
import pytest

from sesemi.training import preprocess


def gcn(images, scale=55.0):
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return scale * flat / np.where(norm < 1e-10, 1, norm)


def test_gcn_is_the_plain_formula(rng):
    images = rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    ours = np.asarray(preprocess.build((8, 8, 3))(images)).reshape(4, -1)
    np.testing.assert_allclose(ours, gcn(images), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 55, rtol=1e-5)


@pytest.mark.parametrize("value", range(0, 256, 15))
def test_gcn_of_a_constant_image_is_zero(value):
    image = np.full((1, 32, 32, 3), value, np.uint8)
    assert np.abs(preprocess.build((32, 32, 3))(image)).max() < 1e-3


def test_gcn_of_one_odd_pixel_keeps_the_norm():
    image = np.full((1, 32, 32, 3), 77, np.uint8)
    image[0, 3, 4, 1] += 1
    np.testing.assert_allclose(np.linalg.norm(preprocess.build((32, 32, 3))(image)), 55, rtol=5e-3)


def test_zca_is_the_plain_formula(rng, monkeypatch):
    monkeypatch.setattr(preprocess, "_CHUNK", 7)
    images = rng.integers(0, 256, (60, 4, 4, 2)).astype(np.uint8)
    flat = gcn(images)
    u, s, _ = np.linalg.svd(np.cov(flat, rowvar=False) + 0.1 * np.eye(32))
    expected = (flat - flat.mean(axis=0)) @ (u @ np.diag(1 / np.sqrt(s)) @ u.T)
    layers = preprocess.build((4, 4, 2), whiten=True)
    preprocess.set_whitening(layers, preprocess.fit_whitening(images))
    np.testing.assert_allclose(np.asarray(layers(images)).reshape(60, -1), expected, rtol=1e-3, atol=2e-3)


def test_zca_uses_the_mean_of_the_training_images_for_others(rng):
    train, test = (rng.integers(low, 256, (50, 4, 4, 1)).astype(np.uint8) for low in (0, 100))
    layers = preprocess.build((4, 4, 1), whiten=True)
    whitening = preprocess.fit_whitening(train)
    preprocess.set_whitening(layers, whitening)
    expected = (gcn(test) - gcn(train).mean(axis=0)) @ whitening.matrix
    np.testing.assert_allclose(np.asarray(layers(test)).reshape(50, -1), expected, rtol=1e-3, atol=2e-3)


def test_nothing_of_it_is_trained():
    assert preprocess.build((4, 4, 1), whiten=True).trainable_variables == []


def test_whitening_needs_two_images():
    with pytest.raises(ValueError, match="two images"):
        preprocess.fit_whitening(np.zeros((1, 4, 4, 1), np.uint8))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_floats_are_taken_as_they_are(rng, policy):
    """An input of uint8 would cut their fractions off: images in 0 … 1 would be black."""
    keras.config.set_dtype_policy(policy)
    images = rng.uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    model = preprocess.build((8, 8, 3))
    flat = images.reshape(4, -1).astype(np.float64)
    centred = flat - flat.mean(axis=1, keepdims=True)
    expected = 55 * centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(model(images)).reshape(4, -1), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model(images / 255), model(images), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(model(np.uint8(images)), model(np.floor(images)))
