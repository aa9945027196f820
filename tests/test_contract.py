"""What every method must hold to, run over all that are registered."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi import presets, rng, training
from sesemi.methods import METHODS
from sesemi.methods.base import Views

METHOD_NAMES = sorted(METHODS)
ADDED_TERM_WEIGHT = {"sesemi": "rotation_weight", "asl": "rotation_weight"}


def weights(model):
    return [variable.numpy() for variable in model.classifier.trainable_variables]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_registry_matches_the_command_line():
    assert tuple(METHODS) == presets.METHODS


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_arguments_are_attributes(name):
    method = METHODS[name]()
    assert isinstance(method.views, Views)
    for argument in inspect.signature(METHODS[name]).parameters:
        assert argument in ("args", "kwargs") or hasattr(method, argument)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_every_term_is_finite_and_moves_the_student(name, small):
    model = small.model(name)
    batch = model.pixels(next(iter(small.batches())))
    views = model.views(batch, rng.Draws(0, 0))
    with tf.GradientTape(persistent=True) as tape:
        terms = model.method.loss_terms(views, training.Network(model.classifier), None)
    assert tuple(terms) == model.method.terms
    for term, value in terms.items():
        assert value.shape == ()
        assert np.isfinite(value), term
        assert float(value) > 0, term
        gradients = tape.gradient(value, model.classifier.trunk.trainable_variables)
        norm = sum(float(tf.reduce_sum(tf.abs(g))) for g in gradients if g is not None)
        assert np.isfinite(norm), term
        assert norm > 1e-3, f"{term} does not move the student"


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_eager_equals_forced_xla(name, small):
    compiled, eager = small.model(name, jit=True), small.model(name, run_eagerly=True)
    logs = [small.fit(model).history for model in (compiled, eager)]
    assert logs[0].keys() == logs[1].keys()
    for key in logs[0]:
        np.testing.assert_allclose(logs[0][key], logs[1][key], rtol=2e-3, err_msg=key)
    for a, b in zip(weights(compiled), weights(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-4)


@pytest.mark.parametrize("name", sorted(ADDED_TERM_WEIGHT))
def test_weight_zero_is_the_supervised_step_to_the_bit(name, small):
    supervised, zero = small.model("supervised"), small.model(name, **{ADDED_TERM_WEIGHT[name]: 0.0})
    for model in (supervised, zero):
        small.fit(model)
    assert_same(weights(supervised), weights(zero))
    other = small.model(name)
    small.fit(other)
    assert any((a != b).any() for a, b in zip(weights(other), weights(zero), strict=True))


def test_joint_forward_normalizes_both_batches_together(small):
    model = small.model("sesemi", joint_forward=True, trunk_dropout=0.0)
    batch = model.pixels(next(iter(small.batches())))
    views = model.views(batch, rng.Draws(0, 0))
    network = training.Network(model.classifier)
    joint = network.features(views.labeled, views.unlabeled[0])
    both = network.features(np.concatenate([views.labeled, views.unlabeled[0]]))
    np.testing.assert_allclose(np.concatenate(joint), both, rtol=1e-4, atol=1e-4)
    assert np.abs(joint[0] - network.features(views.labeled)).max() > 1e-2


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_labels_of_unlabeled_images_are_never_read(name, small):
    poisoned = np.where(np.isin(np.arange(40), small.labeled), small.labels, 2 - small.labels)
    models = [small.model(name), small.model(name, labels=poisoned)]
    for model in models:
        small.fit(model)
    assert_same(weights(models[0]), weights(models[1]))


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_save_load_resume_is_exact_to_the_bit(name, small, tmp_path):
    whole = small.model(name)
    small.fit(whole, stop=5)
    first = small.model(name)
    small.fit(first, stop=2)
    first.save_weights(tmp_path / "half.weights.h5")
    second = small.model(name)
    second.load_weights(tmp_path / "half.weights.h5")
    small.fit(second, start=2, stop=5)
    assert int(second.optimizer.iterations) == 5
    assert_same([v.numpy() for v in whole.weights], [v.numpy() for v in second.weights])


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_bfloat16_is_finite_and_keeps_float32_weights(name, small):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.model(name)
    history = small.fit(model).history
    assert all(np.isfinite(value).all() for value in history.values())
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_a_step_is_traced_once(name, small):
    model = small.model(name)
    traces = []
    step = model.train_step
    model.train_step = lambda data: (traces.append(1), step(data))[1]
    small.fit(model, stop=4)
    small.fit(model, start=4, stop=6)
    assert len(traces) == 1


def test_sesemi_is_the_published_loss_of_the_six_transforms_of_unflipped_images(small):
    """The two terms against plain numpy, from the views and the logits; ASL is the same on the labeled pool."""
    assert METHODS["sesemi"].views == METHODS["asl"].views == Views(labeled="weak", unlabeled=("unflipped",))
    assert (METHODS["sesemi"].unlabeled_pool, METHODS["asl"].unlabeled_pool) == ("unlabeled", "labeled")
    model = small.model("sesemi", trunk_dropout=0.0, rotation_weight=0.7)
    batch = model.pixels(next(iter(small.batches())))
    views = model.views(batch, rng.Draws(0, 0))
    network = training.Network(model.classifier)
    with rng.dropout_from(rng.Draws(0, 0)):
        terms = model.method.loss_terms(views, network, None)
    with rng.dropout_from(rng.Draws(0, 0)):
        logits = network(views.labeled).numpy()
    images = views.unlabeled[0].numpy()
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)] + [images[:, :, ::-1], images[:, ::-1]]
    logits_r = model.method.head(network.features(np.concatenate(turned))).numpy()

    def cross_entropy(labels, logits):
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -log_probs[np.arange(len(labels)), labels].mean()

    transforms = np.repeat(np.arange(6), len(images))
    np.testing.assert_allclose(terms["supervised"], cross_entropy(batch["labels"].numpy(), logits), rtol=1e-4)
    np.testing.assert_allclose(terms["rotation"], 0.7 * cross_entropy(transforms, logits_r), rtol=1e-4)


def test_asl_draws_its_second_branch_from_the_labeled_images():
    from sesemi import assembly, config

    pools = {}
    for method in METHOD_NAMES:
        materials = assembly.gather(config.resolve({"method": method, "labels": 20})[0])
        pools[method] = (len(materials.pool), materials.config.steps_per_epoch)
    assert pools == {"sesemi": (1000, 62), "supervised": (1000, 62), "asl": (20, 1)}
