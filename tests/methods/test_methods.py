"""Each method's terms against plain numpy, on four images and a linear network.

The network's logits are ``flattened image @ matrix``, so everything can be written out; what the methods draw at
random is read from the same named draws.
"""

import numpy as np
import pytest
import tensorflow as tf

from sesemi.methods import METHODS
from sesemi.methods.base import Sizes
from tests.oracle import (
    CLASSES,
    INDEX,
    PIXELS,
    SCALES,
    SIZES,
    World,
    close,
    cross_entropy,
    flat,
    kl,
    mixed,
    mse,
    one_hot,
    ramp,
    softmax,
)  # fmt: skip


@pytest.fixture(params=SCALES)
def scale(request):
    return SCALES[request.param]


@pytest.mark.parametrize("count", [4, 1])
def test_pi_model(scale, count):
    world = World(2, scale, unlabeled=count, labeled=count)
    found = world.terms(METHODS["pi_model"](weight=30.0, ramp_up=0.8))
    close(found["supervised"], world.supervised)
    close(found["consistency"], 30 * ramp(0.5 / 0.8) * mse(world.p(world.u[0]), world.p(world.u[1])))


@pytest.mark.parametrize("name", ["pi_model", "temporal_ensembling"])
def test_the_weight_follows_the_share_of_labels_as_in_the_paper(name):
    """Three of nine images are labeled: 100 M/N is a third of 100."""
    how = {"weight": 100.0, "ramp": "none"} | ({"update": "iteration"} if name == "temporal_ensembling" else {})
    found = []
    for by_labels in (False, True):
        method, world = METHODS[name](**how, by_labels=by_labels), World(2 if name == "pi_model" else 1)
        world.terms(method)
        found.append(float(world.terms(method)["consistency"]))
    assert found[0] > 0
    np.testing.assert_allclose(found[1], found[0] / 3, rtol=1e-5)
    with pytest.raises(ValueError, match="by_labels: pi_model has to know"):
        METHODS["pi_model"](by_labels=True).build(Sizes(features=PIXELS, classes=CLASSES, images=9))


@pytest.mark.parametrize("both", [False, True])
def test_pi_model_trains_one_side_or_both(both):
    """The gradient with respect to each view's images: of the second it is zero unless asked for."""
    world = World(2)
    method = METHODS["pi_model"](both_sides=both)
    method.build(SIZES)
    with tf.GradientTape() as tape:
        tape.watch(world.batch.unlabeled)
        terms = method.loss_terms(world.batch, world.student, None)
    first, second = tape.gradient(terms["consistency"], world.batch.unlabeled)
    assert np.abs(first).max() > 0
    assert (second is not None and np.abs(second).max() > 0) == both


@pytest.mark.parametrize("average", ["probs", "logits"])
@pytest.mark.parametrize("update", ["epoch", "iteration"])
def test_temporal_ensembling_over_four_epochs(update, average, scale):
    method = METHODS["temporal_ensembling"](weight=10.0, alpha=0.6, update=update, average=average, ramp="none")
    ensemble = np.zeros((4, CLASSES))
    for epoch in range(4):
        world = World(1, scale)
        world.student.matrix *= 1.0 + 0.3 * epoch
        outputs = world.p(world.u[0])
        said = outputs if average == "probs" else flat(world.u[0]) @ world.student.matrix.numpy().astype(np.float64)
        updates = epoch + (update == "iteration")
        after = 0.6 * ensemble + 0.4 * said
        target = (after if update == "iteration" else ensemble) / max(1 - 0.6**updates, 1e-7)
        target = target if average == "probs" else softmax(target)
        ensemble = after
        found = world.terms(method)
        close(found["supervised"], world.supervised)
        close(found["consistency"], 0.0 if epoch == 0 else 10 * mse(target, outputs))
    others = np.setdiff1d(np.arange(9), INDEX)
    np.testing.assert_allclose(method.ensemble.numpy()[INDEX], ensemble, rtol=1e-4, atol=1e-4)
    assert not method.ensemble.numpy()[others].any()
    assert method.updates.numpy()[:, 0].tolist() == [4, 0, 4, 0, 0, 4, 0, 4, 0]


def test_temporal_ensembling_corrects_the_bias_exactly():
    """Of a network that always says the same, the target is what it says, however few updates there were."""
    method, world = METHODS["temporal_ensembling"](alpha=0.9, ramp="none"), World(1)
    for _ in range(3):
        found = world.terms(method)
        assert found["consistency"] < 1e-10


@pytest.mark.parametrize("consistency", ["mse", "kl"])
def test_mean_teacher(consistency, scale):
    world = World(2, scale)
    found = world.terms(METHODS["mean_teacher"](weight=8.0, consistency=consistency, ramp_up=1.0))
    distance = {"mse": mse, "kl": kl}[consistency]
    expected = distance(world.p(world.u[1], world.teacher), world.p(world.u[0]))
    close(found["consistency"], 8 * ramp(0.5) * expected)
    close(found["supervised"], world.supervised)


@pytest.mark.parametrize(("by", "training"), [("batch", True), ("averages", False)])
@pytest.mark.parametrize("name", ["mean_teacher", "ict"])
def test_how_the_teacher_is_normalized_is_an_argument(name, by, training):
    world = World(2 if name == "mean_teacher" else 1)
    world.terms(METHODS[name](teacher_normalizes_by=by))
    assert world.teacher.calls == [(4, {"training": training})]


def test_mean_teacher_with_two_heads():
    world = World(2)
    method = METHODS["mean_teacher"](weight=8.0, two_heads=True, logit_distance_cost=0.3, ramp="none")
    method.build(SIZES)
    kernel, bias = np.random.default_rng(4).normal(size=(PIXELS, CLASSES)), np.array([0.1, 0.2, -0.3])
    method.head.set_weights([kernel, bias])
    found = world.terms(method)
    second = [flat(images) @ kernel + bias for images in (world.x, world.u[0])]
    first = [(flat(images) @ world.student.matrix.numpy()) for images in (world.x, world.u[0])]
    close(found["supervised"], world.supervised)
    # The second head is drawn to the teacher's class head.
    close(found["consistency"], 8 * mse(world.p(world.u[1], world.teacher), softmax(second[1])))
    close(found["logit_distance"], 0.3 * np.mean((np.concatenate(first) - np.concatenate(second)) ** 2))


def vat_oracle(world, epsilon, xi, iterations, distance):
    """The gradient of D for a linear network, written out: ``d/dr KL(p || q) = (q - p) W^T``."""
    matrix = world.student.matrix.numpy().astype(np.float64)
    images, clean = flat(world.u[0]), world.p(world.u[0])
    direction = unit(flat(world.draws.normal("direction", world.u[0].shape).numpy()))
    for _ in range(iterations):
        probs = softmax((images + xi * direction) @ matrix)
        error = probs - clean
        if distance == "mse":
            error = 2 / CLASSES * probs * (error - (error * probs).sum(1, keepdims=True))
        direction = unit(error @ matrix.T)
    perturbed = softmax((images + epsilon * direction) @ matrix)
    return (kl if distance == "kl" else mse)(clean, perturbed)


def unit(rows):
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("distance", ["kl", "mse"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_vat(distance, iterations):
    world = World(1, 0.5)
    arguments = {"weight": 2.0, "epsilon": 0.7, "xi": 0.5, "power_iterations": iterations, "distance": distance}
    found = world.terms(METHODS["vat"](entropy_weight=0.3, **arguments))
    close(found["adversarial"], 2 * vat_oracle(world, 0.7, 0.5, iterations, distance))
    probs = world.p(world.u[0])
    close(found["entropy"], 0.3 * cross_entropy(probs, probs))
    close(found["supervised"], world.supervised)
    clean, *perturbed = [how for _, how in world.student.calls[::2]]
    assert clean == {}
    assert perturbed == [{"same_masks": True, "moves_averages": False}] * (iterations + 1)


@pytest.mark.parametrize("scale", [0.0, 300.0])
def test_vat_without_a_gradient_does_not_perturb(scale):
    found = World(1, scale).terms(METHODS["vat"](weight=1.0))
    assert np.isfinite(found["adversarial"])
    if scale == 0.0:
        assert found["adversarial"] == 0.0


def test_vat_perturbs_each_image_by_epsilon():
    from sesemi.methods.vat import unit as unit_images

    gradients = np.random.default_rng(0).normal(size=(4, 2, 2, 2)).astype(np.float32)
    gradients *= np.array([1e-30, 1.0, 1e20, 0.0], np.float32).reshape(4, 1, 1, 1)
    norms = np.linalg.norm(flat(np.asarray(unit_images(gradients))), axis=1)
    np.testing.assert_allclose(norms, [1, 1, 1, 0], rtol=1e-5)


def test_ict(scale):
    world = World(1, scale)
    found = world.terms(METHODS["ict"](weight=30.0, mix_alpha=0.4, ramp="linear", ramp_up=1.0))
    order = world.draws.permutation("partner", 4).numpy()
    ratio = world.draws.beta("ratio", (4,), 0.4).numpy()
    (u,) = world.u
    teacher = world.p(u, world.teacher)
    close(found["consistency"], 15 * mse(mixed(teacher, teacher[order], ratio), world.p(mixed(u, u[order], ratio))))
    close(found["supervised"], world.supervised)


def mixmatch_oracle(world, temperature, alpha, per_image):
    guess = np.mean([world.p(u) for u in world.u], axis=0)
    log = np.log(np.maximum(guess, 1e-30)) / temperature
    guess = softmax(log)
    images = np.concatenate([world.x, *world.u])
    targets = np.concatenate([np.eye(CLASSES)[world.y], *[guess] * len(world.u)])
    order = world.draws.permutation("partner", len(images)).numpy()
    ratio = world.draws.beta("ratio", (len(images) if per_image else 1,), alpha).numpy()
    ratio = np.maximum(ratio, 1 - ratio)
    images, targets = mixed(images, images[order], ratio), mixed(targets, targets[order], ratio)
    n = len(world.x)
    return targets[:n], images[:n], targets[n:], images[n:]


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("per", ["image", "batch"])
def test_mixmatch(per, joint, scale):
    world = World(2, scale)
    world.student.joint = joint
    found = world.terms(METHODS["mixmatch"](weight=75.0, ramp_up=1.0, mix_per=per))
    targets, images, targets_u, images_u = mixmatch_oracle(world, 0.5, 0.75, per == "image")
    close(found["supervised"], cross_entropy(targets, world.p(images)))
    close(found["consistency"], 37.5 * mse(targets_u, world.p(images_u)))


def test_mixmatch_rows_stay_nearer_to_themselves_and_guesses_move_no_averages():
    world = World(2)
    world.terms(METHODS["mixmatch"]())
    assert world.student.calls[:2] == [(4, {"moves_averages": False})] * 2
    assert world.student.calls[2] == (12, {})
    ratio = world.draws.beta("ratio", (12,), 0.75).numpy()
    assert (ratio < 0.5).any(), "or the largest of l and 1 - l would not be tested"


def test_mixmatch_in_turn_interleaves_and_only_the_first_batch_moves_averages():
    world = World(2)
    world.student.joint = False
    world.terms(METHODS["mixmatch"]())
    assert [how["moves_averages"] for _, how in world.student.calls] == [False, False, True, False, False]
    uneven, method = World(2, labeled=2), METHODS["mixmatch"]()
    uneven.student.joint = False
    with pytest.raises(ValueError, match="of one size, got 2, 4"):
        uneven.terms(method)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_pseudo_label_of_this_iteration(threshold, scale):
    world = World(1, scale)
    found = world.terms(METHODS["pseudo_label"](weight=3.0, threshold=threshold, ramp="delayed", ramp_up=1.0))
    probs = world.p(world.u[0])
    # A sixth of the run without, then in a straight line: (300 - 100) / (600 - 100) at half of it.
    expected = 0.4 * 3 * cross_entropy(one_hot(probs), probs, probs.max(1).astype(np.float32) >= threshold)
    close(found["pseudo"], expected)
    close(found["supervised"], world.supervised)


@pytest.mark.parametrize("hard", [False, True])
def test_pseudo_label_of_the_last_epoch(hard):
    method = METHODS["pseudo_label"](target="epoch", hard=hard, ramp="none", threshold=0.5)
    first, second = World(1), World(1)
    assert first.terms(method)["pseudo"] == 0.0, "an image never seen has no target"
    second.student.matrix = -2.0 * second.student.matrix
    before, now = first.p(first.u[0]), second.p(second.u[0])
    assert (before.argmax(1) != now.argmax(1)).any()
    mask = before.max(1) >= 0.5
    close(second.terms(method)["pseudo"], cross_entropy(one_hot(before) if hard else before, now, mask))
    np.testing.assert_allclose(method.outputs.numpy()[INDEX], now, rtol=1e-4)


def test_soft_pseudo_labels_of_the_same_iteration_are_refused():
    with pytest.raises(ValueError, match="no gradient"):
        METHODS["pseudo_label"](hard=False).check()


@pytest.mark.parametrize("hard", [False, True])
def test_mix_pseudo_label(hard):
    method = METHODS["mix_pseudo_label"](weight=30.0, hard=hard, mix_alpha=1.0, ramp="none")
    first, second = World(1), World(1)
    assert first.terms(method)["pseudo"] == 0.0
    second.student.matrix = -2.0 * second.student.matrix
    # One image was not seen before.
    table = method.outputs.numpy()
    table[INDEX[2]] = 0.0
    method.outputs.assign(table)
    (u,), before = second.u, first.p(first.u[0])
    known = np.array([1.0, 1.0, 0.0, 1.0])
    targets = one_hot(before) if hard else before
    targets = targets * known[:, None]
    order = second.draws.permutation("partner", 4).numpy()
    ratio = second.draws.beta("ratio", (4,), 1.0).numpy()
    probs = second.p(mixed(u, u[order], ratio))
    found = second.terms(method)
    close(found["pseudo"], 30 * cross_entropy(mixed(targets, targets[order], ratio), probs, known * known[order]))
    np.testing.assert_allclose(method.outputs.numpy()[INDEX], second.p(u), rtol=1e-4)
    assert second.student.calls[-1] == (4, {"moves_averages": False}), "the table is refreshed by the unmixed images"


def test_a_method_with_a_table_needs_to_know_how_many_images():
    with pytest.raises(ValueError, match="pixels"):
        METHODS["temporal_ensembling"]().build(Sizes(features=PIXELS, classes=CLASSES, images=None))
