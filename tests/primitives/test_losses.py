import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi import config
from sesemi.primitives import losses, rng
from sesemi.training import preprocess


def plain_cross_entropy(labels, logits):
    logits = logits.astype(np.float64)
    log_probs = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
    log_probs -= logits.max(1, keepdims=True)
    return -log_probs[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize(
    "logits",
    [
        [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [5.0, -5.0, 0.0], [0.1, 0.2, 0.3]],
        [[0.0, 0.0, 0.0]] * 4,
        [[80.0, -80.0, 0.0]] * 4,
    ],
)
def test_cross_entropy_is_the_mean_over_the_batch(logits):
    labels, logits = np.array([0, 1, 2, 1]), np.array(logits, np.float32)
    np.testing.assert_allclose(losses.cross_entropy(labels, logits), plain_cross_entropy(labels, logits), rtol=1e-5)


def test_cross_entropy_of_one_image():
    found = losses.cross_entropy(np.array([1]), np.array([[0.0, np.log(3.0)]], np.float32))
    np.testing.assert_allclose(found, -np.log(0.75), rtol=1e-6)


def test_sum_of_squares_has_no_half():
    assert float(losses.sum_of_squares([np.array([1.0, 2.0]), np.array([[3.0]])])) == 14.0
    assert float(losses.sum_of_squares([])) == 0.0


def test_l2_covers_conv_and_dense_kernels_and_nothing_else(small):
    model = small.model("sesemi")
    names = [variable.path for variable in model.kernels]
    # Two convolutions, the class head and the six-way head.
    assert len(names) == 4
    assert all(name.endswith("/kernel") for name in names)
    assert not any("preprocess" in name for name in names)


def test_whitening_is_neither_trained_nor_decayed(small):
    layers = preprocess.build((8, 8, 2), whiten=True)
    preprocess.set_whitening(layers, preprocess.fit_whitening(small.images))
    before = [v.numpy() for v in layers.variables]
    model = small.model("sesemi", preprocess=layers)
    small.fit(model)
    assert not {v.path for v in layers.variables} & {v.path for v in model.trainable_variables}
    assert len(model.kernels) == 4
    for a, v in zip(before, layers.variables, strict=True):
        np.testing.assert_array_equal(a, v.numpy())


def test_a_step_minimizes_the_sum_of_terms_and_l2_by_nesterov_sgd(small):
    """One update against the gradient of the losses written out, and Nesterov's rule in numpy."""
    import tensorflow as tf

    model, twin = small.model("sesemi", run_eagerly=True), small.model("sesemi")
    batch = twin.pixels(next(iter(small.batches())))
    draws = rng.Draws(5, batch["step"])
    views = twin.views(batch, draws)
    kernels = [v for v in twin.trainable_variables if v.name == "kernel"]
    with tf.GradientTape() as tape, rng.dropout_from(draws.at("dropout")):
        terms = twin.method.loss_terms(views, *twin.networks(draws))
        loss = terms["supervised"] + terms["rotation"] + 5e-4 * sum(tf.reduce_sum(k.value**2) for k in kernels)
    before = [v.numpy() for v in twin.trainable_variables]
    gradients = tape.gradient(loss, [v.value for v in twin.trainable_variables])
    logs = small.fit(model, stop=1).history
    penalty = 5e-4 * sum(np.sum(k.numpy().astype(np.float64) ** 2) for k in kernels)
    np.testing.assert_allclose(logs["l2"], [penalty], rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], [float(terms["supervised"] + terms["rotation"]) + penalty], rtol=1e-5)
    for w, g, after in zip(before, gradients, model.trainable_variables, strict=True):
        velocity = -0.05 * g.numpy()
        np.testing.assert_allclose(after.numpy(), w + 0.9 * velocity - 0.05 * g.numpy(), rtol=1e-6, atol=1e-6)


def test_learning_rate_is_polynomial_in_the_step():
    from sesemi.assembly import build

    resolved, _ = config.resolve({"dataset": "cifar10", "epochs": 5, "steps_per_epoch": 20})
    optimizer = build.optimizer(resolved, 100)
    optimizer.build([keras.Variable(np.zeros(1))])
    for step in (0, 1, 37, 99, 100, 120):
        optimizer.iterations.assign(step)
        expected = 0.05 * (1 - min(step, 100) / 100) ** 0.5
        np.testing.assert_allclose(float(optimizer.learning_rate), expected, rtol=1e-5, atol=1e-9)


TARGETS = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.5, 0.5]], np.float32)
LOGITS = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -3.0], [0.0, 0.0, 0.0], [80.0, 0.0, -80.0]], np.float32)


@pytest.mark.parametrize("name", ["soft_cross_entropy", "kl_divergence", "mse"])
def test_targets_carry_no_gradient(name):
    import tensorflow as tf

    targets, logits = tf.constant(TARGETS), tf.constant(LOGITS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([targets, logits])
        answer = tf.nn.softmax(logits) if name == "mse" else logits
        value = getattr(losses, name)(targets, answer)
        both = losses.mse(targets, tf.nn.softmax(logits), stop_targets=False)
    assert tape.gradient(value, targets) is None
    assert np.abs(tape.gradient(value, logits)).max() > 0
    assert np.abs(tape.gradient(both, targets)).max() > 0


def test_a_mask_leaves_rows_out_of_the_sum_but_not_of_the_count():
    mask = np.array([1.0, 0.0, 0.5, 0.0], np.float32)
    for name in ("soft_cross_entropy", "kl_divergence", "mse"):
        loss = getattr(losses, name)
        rows = [float(loss(TARGETS[i : i + 1], LOGITS[i : i + 1])) for i in range(4)]
        np.testing.assert_allclose(loss(TARGETS, LOGITS, mask), (rows[0] + 0.5 * rows[2]) / 4, rtol=1e-5)
        assert float(loss(TARGETS, LOGITS, np.zeros(4))) == 0.0


def test_mse_times_classes_is_the_sum_over_classes():
    difference = (TARGETS - LOGITS) ** 2
    np.testing.assert_allclose(3 * losses.mse(TARGETS, LOGITS), difference.sum(axis=1).mean(), rtol=1e-5)


def test_sharpening_is_a_power_also_of_tiny_probabilities():
    probs = np.array([[0.5, 0.3, 0.2], [1 - 2e-20, 1e-20, 1e-20], [0.0, 1.0, 0.0]])
    for temperature in (0.1, 0.5, 1.0, 2.0):
        power = np.maximum(probs, 1e-30) ** (1 / temperature)
        found = np.asarray(losses.sharpen(probs.astype(np.float32), temperature))
        np.testing.assert_allclose(found, power / power.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-12)
        assert np.isfinite(found).all()


def test_entropy_is_largest_where_nothing_is_known():
    np.testing.assert_allclose(losses.entropy(np.zeros((2, 5), np.float32)), np.log(5), rtol=1e-6)
    assert 0.0 <= float(losses.entropy(LOGITS[3:])) < 1e-20


def test_a_masked_cross_entropy_counts_all_rows_and_its_mask_learns_nothing():
    logits, mask = tf.constant([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), tf.Variable([1.0, 0.5, 0.0])
    with tf.GradientTape() as tape:
        loss = losses.cross_entropy(tf.constant([0, 0, 1]), logits, mask)
    log_probs = logits.numpy() - np.log(np.exp(logits.numpy()).sum(1, keepdims=True))
    assert float(loss) == pytest.approx(-(log_probs[0, 0] + 0.5 * log_probs[1, 0]) / 3, rel=1e-5)
    assert tape.gradient(loss, mask) is None
