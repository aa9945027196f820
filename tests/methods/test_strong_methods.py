"""FixMatch and its family against plain numpy, their state over several batches, and the edges of their thresholds."""

import numpy as np
import pytest
import tensorflow as tf

from sesemi.methods import METHODS, remixmatch
from sesemi.primitives import losses, schedules
from tests.messages import refused
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
    one_hot,
    softmax,
)  # fmt: skip

STATEFUL_BATCHES = 5
# Arguments with which a method accepts what has exactly this confidence, or less than it.
THRESHOLDED = ("fixmatch", "uda", "debiasmatch", "dst", "crmatch")
FAMILY = ("fixmatch", "uda", "flexmatch", "debiasmatch", "dst", "adamatch", "softmatch", "freematch", "crmatch")
VIEWS = {"crmatch": 3}


@pytest.fixture(params=SCALES)
def scale(request):
    return SCALES[request.param]


def worlds(views=2, count=STATEFUL_BATCHES, **kwargs):
    """Batches of other images, of other rows, by a network that is now sure and now not."""
    rng = np.random.default_rng(5)
    for number in range(count):
        index = rng.permutation(9)[:4]
        yield World(views, (0.4, 2.0, 0.6, 1.5, 0.3)[number % 5], seed=number, step=number, index=index, **kwargs)


def normalized(values):
    return values / values.sum(-1, keepdims=True)


def f32(value):
    return np.asarray(value).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_fixmatch(threshold, scale):
    world = World(2, scale)
    found = world.terms(METHODS["fixmatch"](weight=3.0, threshold=threshold))
    weak, strong = map(world.p, world.u)
    close(found["pseudo"], 3 * cross_entropy(one_hot(weak), strong, f32(weak.max(1)) >= f32(threshold)))
    close(found["supervised"], world.supervised)


def test_fixmatch_by_the_last_epoch():
    method = METHODS["fixmatch"](target="epoch", threshold=0.5)
    first, second = World(2), World(2, seed=2)
    assert first.terms(method)["pseudo"] == 0.0, "an image never seen has no target"
    before = first.p(first.u[0])
    assert (before.argmax(1) != second.p(second.u[0]).argmax(1)).any()
    expected = cross_entropy(one_hot(before), second.p(second.u[1]), before.max(1) >= 0.5)
    close(second.terms(method)["pseudo"], expected)
    np.testing.assert_allclose(method.outputs.numpy()[INDEX], second.p(second.u[0]), rtol=1e-4)


def test_fixmatch_calls_the_network_on_the_labeled_the_weak_and_the_strong_images():
    world = World(2, unlabeled=3)
    world.terms(METHODS["fixmatch"]())
    assert world.student.calls == [(4, {}), (3, {}), (3, {})]
    assert METHODS["fixmatch"].views.unlabeled == ("weak", "strong")


@pytest.mark.parametrize("temperature", [0.4, 1.0])
def test_uda(temperature, scale):
    world = World(2, scale)
    found = world.terms(METHODS["uda"](weight=2.0, threshold=0.6, temperature=temperature))
    weak, strong = map(world.p, world.u)
    target = softmax(np.log(np.maximum(weak, 1e-30)) / temperature)
    close(found["consistency"], 2 * kl(target, strong, weak.max(1) >= 0.6))
    close(found["supervised"], world.supervised)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0, 1.5])
@pytest.mark.parametrize("tsa", ["linear", "exp", "log"])
def test_uda_releases_labels_by_the_probability_of_the_correct_class(tsa, progress):
    world = World(2, labeled=12, progress=progress)
    found = world.terms(METHODS["uda"](tsa=tsa))
    grown = {"linear": progress, "exp": np.exp(5 * (progress - 1)), "log": 1 - np.exp(-5 * progress)}[tsa]
    release = 1 / CLASSES + min(grown, 1.0) * (1 - 1 / CLASSES)
    close(METHODS["uda"](tsa=tsa).release(progress, CLASSES), release)
    probs = world.p(world.x)
    correct = probs[np.arange(12), world.y]
    kept = correct <= release
    by_largest = probs.max(1) <= release
    assert progress >= 1.0 or (kept != by_largest).any(), "the largest probability would do as well"
    close(found["supervised"], -(kept * np.log(correct)).sum() / max(kept.sum(), 1))


def test_uda_with_all_labels_known_too_well_learns_nothing_from_them():
    world = World(2, progress=0.0)
    world.student.matrix = tf.zeros_like(world.student.matrix)
    kernel = np.zeros((PIXELS, CLASSES), np.float32)
    kernel[:CLASSES] = 50 * np.eye(CLASSES)
    world.student.matrix = tf.constant(kernel)
    images = np.zeros((4, PIXELS), np.float32)
    images[np.arange(4), world.y] = 1.0
    object.__setattr__(world.batch, "labeled", tf.constant(images.reshape(4, 2, 2, 2)))
    assert world.terms(METHODS["uda"](tsa="linear"))["supervised"] == 0.0


MAPPINGS = {"convex": lambda b: b / (2 - b), "linear": lambda b: b, "concave": lambda b: np.log(b + 1) / np.log(2)}


@pytest.mark.parametrize("warm_up", [True, False])
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_flexmatch_over_nine_batches(mapping, warm_up):
    method = METHODS["flexmatch"](weight=2.0, threshold=0.7, mapping=mapping, warm_up=warm_up)
    memory, passed = np.full(9, -1), []
    for world in worlds(count=9):
        weak, strong = map(world.p, world.u)
        counts = np.bincount(memory[memory >= 0], minlength=CLASSES)
        largest = max(counts.max(), np.sum(memory < 0) if warm_up else 0)
        beta = counts / largest if largest else np.zeros(CLASSES)
        thresholds = 0.7 * MAPPINGS[mapping](beta)
        if method.built:
            np.testing.assert_allclose(method.thresholds(), thresholds, rtol=1e-5)
        given, confidence = weak.argmax(1), weak.max(1)
        mask = confidence >= thresholds[given]
        passed.append(mask.mean())
        close(world.terms(method)["pseudo"], 2 * cross_entropy(one_hot(weak), strong, mask))
        memory[world.index] = np.where(confidence >= 0.7, given, memory[world.index])
        np.testing.assert_array_equal(method.given.numpy()[:, 0] - 1, memory)
    assert passed[0] == 1.0, "while nothing is learned, all pass"
    assert min(passed) < 1.0


def test_flexmatch_remembers_what_was_confident_of_an_image_that_occurs_twice():
    method = METHODS["flexmatch"](threshold=0.75)
    method.build(SIZES)
    classes, confidence = tf.constant([2, 1, 0, 1, 2]), tf.constant([0.75, 0.9, 0.8, 0.7, 0.1])
    method.remember(tf.constant([4, 4, 3, 4, 0]), classes, confidence)
    assert method.given.numpy()[:, 0].tolist() == [0, 0, 0, 1, 2, 0, 0, 0, 0]


def test_flexmatch_counts_only_the_images_that_it_is_shown_as_not_yet_learned():
    method = METHODS["flexmatch"](mapping="linear", threshold=1.0)
    method.build(SIZES.__class__(features=PIXELS, classes=CLASSES, images=9, unlabeled=5))
    method.given.assign(np.array([1, 1, 2, 0, 0, 0, 0, 0, 0])[:, None])
    np.testing.assert_allclose(method.thresholds(), [1.0, 0.5, 0.0])


@pytest.mark.parametrize("warm_up", [True, False])
def test_flexmatch_with_a_memory_of_one_class_only(warm_up):
    method = METHODS["flexmatch"](mapping="linear", threshold=0.9, warm_up=warm_up)
    method.build(SIZES)
    method.given.assign(np.full((9, 1), 2.0))
    np.testing.assert_allclose(method.thresholds(), [0.0, 0.9, 0.0], rtol=1e-6)


def test_debiasmatch_over_five_batches():
    method = METHODS["debiasmatch"](weight=2.0, threshold=0.6, debias=0.8, momentum=0.7)
    mean, changed = np.full(CLASSES, 1 / CLASSES), 0
    for world in worlds():
        weak, strong = (flat(u) @ world.student.matrix.numpy().astype(np.longdouble) for u in world.u)
        mean = 0.7 * mean + 0.3 * softmax(weak).mean(0)
        probs = softmax(weak - 0.8 * np.log(mean))
        changed += (probs.argmax(1) != weak.argmax(1)).sum()
        expected = cross_entropy(one_hot(probs), softmax(strong + 0.8 * np.log(mean)), probs.max(1) >= 0.6)
        close(world.terms(method)["pseudo"], 2 * expected)
        np.testing.assert_allclose(method.mean_probs.numpy(), mean.astype(float), rtol=1e-4)
    assert changed, "debiasing never changed a label here"


def test_remixmatch_is_finite_when_a_class_is_never_guessed(monkeypatch):
    monkeypatch.setattr(remixmatch, "WINDOW", 2)
    method = METHODS["remixmatch"]()
    method.build(SIZES)
    for step in range(4):
        guess = method.guess(tf.constant([[0.0, 1.0, 0.0]] * 4), tf.one_hot([0, 1, 2, 0], 3), tf.constant(step))
    assert np.isfinite(guess).all()


def moved(average, mean, momentum):
    """A running average, which is None before the first batch where that one is copied."""
    return mean if average is None else momentum * average + (1 - momentum) * mean


FIRST = {"uniform": np.full(CLASSES, 1 / CLASSES), "batch": None}


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(("momentum", "start"), [(0.0, "uniform"), (0.7, "uniform"), (0.7, "batch")])
def test_adamatch_over_five_batches(momentum, start, hard):
    method = METHODS["adamatch"](weight=2.0, threshold=0.9, momentum=momentum, start=start, hard=hard)
    labeled, unlabeled = FIRST["uniform"], FIRST[start]
    changed = 0
    for world in worlds():
        (weak, strong), x = map(world.p, world.u), world.p(world.x)
        labeled, unlabeled = moved(labeled, x.mean(0), momentum), moved(unlabeled, weak.mean(0), momentum)
        aligned = normalized(weak * (1e-6 + labeled) / (1e-6 + unlabeled))
        changed += (aligned.argmax(1) != weak.argmax(1)).sum()
        mask = aligned.max(1) >= 0.9 * x.max(1).mean()
        found = world.terms(method)
        close(found["pseudo"], 2 * cross_entropy(one_hot(aligned) if hard else aligned, strong, mask))
        close(found["supervised"], world.supervised)
        np.testing.assert_allclose(method.expected.numpy(), unlabeled.astype(float), rtol=1e-4)
    assert changed, "alignment never changed a label here"


def test_adamatch_as_in_the_paper_interpolates_logits_and_learns_from_strong_labeled_views():
    world = World(2, also_labeled=1)
    method = METHODS["adamatch"](interpolate=True, strong_labels=True, ramp="cosine", momentum=0.0)
    alone = world.student.together

    def together(*batches, moves_averages=True):
        """The labeled images alone have other logits, as they have by BatchNorm."""
        logits = alone(*batches)
        return logits if moves_averages else tuple(-0.5 * z + 1.0 for z in logits)

    world.student.together = together
    expected = 0.0
    for number, images in enumerate((world.x, world.also[0])):
        z = flat(images) @ world.student.matrix.numpy()
        ratio = world.draws.uniform(f"logits/{number}", z.shape).numpy()
        probs = softmax(ratio * z + (1 - ratio) * (-0.5 * z + 1.0))
        expected += cross_entropy(np.eye(CLASSES)[world.y], probs)
    close(world.terms(method)["supervised"], expected)
    assert float(schedules.ramp("cosine", 0.25, 0.5)) == pytest.approx(0.5)
    with refused("--joint-forward"):
        method.check_batches(labeled=4, unlabeled=4, joint_forward=False, regularize_labeled=False)


@pytest.mark.parametrize(("align", "start"), [(True, "uniform"), (True, "batch"), (False, "uniform")])
def test_softmatch_over_five_batches(align, start):
    method = METHODS["softmatch"](weight=2.0, width=1.5, align=align, momentum=0.7, start=start)
    mean, variance, expected, smallest = 1 / CLASSES, 1.0, FIRST[start], 1.0
    for world in worlds():
        weak, strong = map(world.p, world.u)
        expected = moved(expected, weak.mean(0), 0.7)
        aligned = normalized(weak / expected) if align else weak
        confidence = aligned.max(1).astype(float)
        mean, variance = 0.7 * mean + 0.3 * confidence.mean(), 0.7 * variance + 0.3 * confidence.var(ddof=1)
        weights = np.exp(-(np.minimum(confidence - mean, 0) ** 2) / (2 * variance / 1.5**2))
        smallest = min(smallest, weights.min())
        close(world.terms(method)["pseudo"], 2 * cross_entropy(one_hot(weak), strong, weights))
        np.testing.assert_allclose([method.mean.numpy(), method.variance.numpy()], [mean, variance], rtol=1e-4)
    assert smallest < 0.95


def test_softmatch_of_a_single_image_is_finite():
    assert np.isfinite(World(2, unlabeled=1).terms(METHODS["softmatch"]())["pseudo"])


@pytest.mark.parametrize("level_by", ["mean", "quantile"])
def test_freematch_over_five_batches(level_by):
    method = METHODS["freematch"](
        weight=2.0, fairness_weight=0.5, momentum=0.7, level_by=level_by, highest_threshold=0.5
    )
    level, mean, histogram = 1 / CLASSES, *(np.full(CLASSES, 1 / CLASSES) for _ in range(2))
    ratios, cut = [], 0
    for world in worlds():
        weak, strong = (world.p(u).astype(float) for u in world.u)
        confidence = weak.max(1)
        level = 0.7 * level + 0.3 * (confidence.mean() if level_by == "mean" else np.quantile(confidence, 0.8))
        mean = 0.7 * mean + 0.3 * weak.mean(0)
        histogram = 0.7 * histogram + 0.3 * one_hot(weak).mean(0)
        cut, level = cut + (level > 0.5), min(level, 0.5)
        mask = confidence >= (level * mean / mean.max())[weak.argmax(1)]
        ratios.append(mask.mean())
        found = world.terms(method)
        close(found["pseudo"], 2 * cross_entropy(one_hot(weak), strong, mask))
        own = one_hot(strong[mask]).mean(0)
        a = normalized(mean / histogram)
        b = normalized(strong[mask].mean(0) * np.divide(1.0, own, out=np.zeros(CLASSES), where=own > 0))
        close(found["fairness"], 0.5 * np.sum(a * np.log(b + 1e-12)))
        np.testing.assert_allclose(method.level.numpy(), level, rtol=1e-4)
    assert cut
    assert 0 < np.mean(ratios) < 1


def test_freematch_is_fair_to_nobody_if_nothing_is_accepted():
    method, world = METHODS["freematch"](momentum=1.0), World(2)
    method.build(SIZES)
    method.level.assign(1.0)
    with tf.GradientTape() as tape:
        tape.watch(world.batch.unlabeled)
        terms = method.loss_terms(world.batch, world.student, None)
    assert float(terms["fairness"]) == 0.0
    gradients = tape.gradient(terms["fairness"], world.batch.unlabeled)
    assert all(g is None or not np.any(g) for g in gradients)


def test_dst(scale):
    world = World(2, scale, step=700)
    method = METHODS["dst"](
        weight=2.0, threshold=0.6, worst_weight=0.7, worst_labeled_weight=1.5, reversal=0.3, width=5
    )
    method.check()
    method.build(SIZES)
    for head in (method.pseudo_head, method.worst_head):
        head.dropout.rate = 0.0
    found = world.terms(method)
    weak = world.p(world.u[0])
    said = softmax(head_of(method.pseudo_head, world.u[1]))
    close(found["pseudo"], 2 * cross_entropy(one_hot(weak), said, f32(weak.max(1)) >= f32(0.6)))
    worst, worst_u = (softmax(head_of(method.worst_head, images)) for images in (world.x, world.u[0]))
    agrees = cross_entropy(one_hot(world.p(world.x)), worst)
    disagrees = -np.mean(np.log(1 - (one_hot(weak) * worst_u).sum(1) + 1e-6))
    close(found["worst"], 0.7 * (1.5 * agrees + disagrees))
    close(found["supervised"], world.supervised)


def head_of(head, images):
    (w, b), (v, c) = head.hidden.get_weights(), head.out.get_weights()
    return np.maximum(flat(images) @ w + b, 0) @ v + c


def test_dst_reverses_the_gradient_by_a_factor_that_grows_and_no_class_head_learns_from_unlabeled_images():
    gradients = {}
    for step in (0, 700):
        world, method = World(2, step=step), METHODS["dst"](threshold=0.0, reversal=0.3, width=5)
        method.build(SIZES)
        for number, head in enumerate((method.pseudo_head, method.worst_head)):
            head.dropout.rate = 0.0
            rng = np.random.default_rng(number)
            head.set_weights([rng.normal(size=w.shape) for w in head.get_weights()])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([world.batch.labeled, *world.batch.unlabeled, world.student.matrix])
            terms = method.loss_terms(world.batch, world.student, None)
            forward = method.worst_head(tf.reshape(world.batch.labeled, (4, -1)))
            plain = losses.cross_entropy(tf.argmax(world.student(world.batch.labeled), axis=1), forward)
        for term in ("pseudo", "worst"):
            assert tape.gradient(terms[term], world.student.matrix) is None
        assert tape.gradient(terms["pseudo"], world.batch.unlabeled[0]) is None
        reversed_, straight = (tape.gradient(value, world.batch.labeled) for value in (terms["worst"], plain))
        gradients[step] = np.asarray(reversed_), np.asarray(straight)
    assert not gradients[0][0].any()
    factor = 2 * 0.3 / (1 + np.exp(-0.7)) - 0.3
    np.testing.assert_allclose(gradients[700][0], -2 * factor * gradients[700][1], rtol=1e-3, atol=1e-6)


def test_self_tuning_over_five_batches():
    queue, temperature = 3, 0.2
    method = METHODS["self_tuning"](weight=2.0, temperature=temperature, queue=queue, projection=4, ema_decay=0.9)
    queues, key_weights = [[] for _ in range(CLASSES)], None
    for number, world in enumerate(worlds(also_labeled=1)):
        if not method.built:
            method.build(SIZES)
        rng = np.random.default_rng(number)
        method.projector.set_weights([rng.normal(size=w.shape) for w in method.projector.get_weights()])
        decay = min(1 - 1 / (number + 1), 0.9)
        now = method.projector.get_weights()
        key_weights = [decay * k + (1 - decay) * w for k, w in zip(key_weights or now, now, strict=True)]
        queries, queries_u = (project(images, now) for images in (world.x, world.u[0]))
        keys, keys_u = (project(images, key_weights) for images in (world.also[0], world.u[1]))
        given = world.p(world.u[0]).argmax(1)
        found = world.terms(method)
        close(found["contrast_labeled"], 2 * contrast(queries, keys, world.y, queues, temperature))
        close(found["contrast"], 2 * contrast(queries_u, keys_u, given, queues, temperature))
        close(found["supervised"], world.supervised)
        for key, label in zip([*keys, *keys_u], [*world.y, *given], strict=True):
            queues[label] = [*queues[label], key][-queue:]
    assert all(len(entries) == queue for entries in queues)
    assert world.teacher.calls == [(4, {"training": True})] * 2


def project(images, weights):
    rows = flat(images) @ weights[0] + weights[1]
    return rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)


def contrast(queries, keys, labels, queues, temperature):
    total = 0.0
    for query, key, label in zip(queries, keys, labels, strict=True):
        same = [key, *queues[label]]
        others = [k for c, entries in enumerate(queues) if c != label for k in entries]
        probs = softmax(np.array([[query @ k / temperature for k in same + others]], float))
        target = np.array([[1 / len(same)] * len(same) + [0.0] * len(others)])
        total += kl(target, probs)
    return total / len(queries)


def test_self_tuning_keeps_what_came_last_of_a_class_that_fills_its_queue_more_than_once():
    method = METHODS["self_tuning"](queue=3, projection=1)
    method.build(SIZES)
    for start in (0, 8):
        keys = tf.constant(np.arange(start, start + 8.0)[:, None], tf.float32)
        method.enter(keys, tf.constant([1] * 8))
    assert sorted(method.keys.numpy()[3:6, 0]) == [13, 14, 15]
    assert not method.keys.numpy()[[0, 1, 2, 6, 7, 8]].any()
    assert method.entered.numpy().tolist() == [0, 4, 0]


@pytest.mark.parametrize("balanced", [False, True])
def test_noisy_student(balanced, scale):
    method = METHODS["noisy_student"](weight=2.0, temperature=1.5, threshold=0.6, balanced=balanced)
    world = World(1, scale)
    assert world.terms(method)["pseudo"] == 0.0, "there is no teacher yet"
    said = softmax(np.random.default_rng(3).normal(size=(9, CLASSES)))
    method.next_student(said.astype(np.float32))
    counts = (said.max(1) >= 0.6).astype(float)
    if balanced:
        of_class = np.array([counts[said.argmax(1) == c].sum() for c in range(CLASSES)])
        counts = counts * counts.sum() / CLASSES / np.maximum(of_class, 1)[said.argmax(1)]
    assert 0 < np.mean(counts > 0) < 1
    targets = softmax(np.log(said[INDEX]) / 1.5)
    answer = softmax(flat(world.u[0]) @ world.student.matrix.numpy().astype(np.longdouble) / 1.5)
    found = world.terms(method)
    close(found["pseudo"], 2 * cross_entropy(targets, answer, counts[INDEX]))
    close(found["supervised"], world.supervised)


def test_crmatch(scale):
    world = World(3, scale, labeled=3)
    method = METHODS["crmatch"](weight=2.0, threshold=0.6, distance_weight=0.5, four_way_weight=0.3)
    method.build(SIZES)
    kernel = np.random.default_rng(4).normal(size=(PIXELS, PIXELS))
    method.projector.set_weights([kernel, np.zeros(PIXELS)])
    found = world.terms(method)
    weak, strong = map(world.p, world.u[:2])
    mask = f32(weak.max(1)) >= f32(0.6)
    close(found["pseudo"], 2 * cross_entropy(one_hot(weak), strong, mask))
    (w, b), (h, d), (r, e) = (layer.get_weights() for layer in (method.projector, method.hidden, method.four_way))
    places = [flat(u).astype(float) @ w + b for u in (world.u[1], world.u[0])]
    cosine = (places[0] * places[1]).sum(1) / np.prod([np.linalg.norm(p, axis=1) for p in places], axis=0)
    assert cosine.min() < 0 < cosine.max()
    close(found["distance"], 0.5 * np.mean(mask * np.maximum(cosine, 0)))
    assert world.student.calls[-1] == (12, {"moves_averages": False})
    turned = np.concatenate([np.rot90(world.u[2][:3], k, axes=(1, 2)) for k in range(4)])
    probs = softmax(np.maximum(flat(turned) @ h + d, 0) @ r + e)
    close(found["rotations"], 0.3 * cross_entropy(np.eye(4)[np.repeat(np.arange(4), 3)], probs))
    close(found["supervised"], world.supervised)


def test_crmatch_pushes_both_views_apart():
    world, method = World(3), METHODS["crmatch"](threshold=0.0)
    method.build(SIZES)
    with tf.GradientTape() as tape:
        tape.watch(world.batch.unlabeled)
        distance = method.loss_terms(world.batch, world.student, None)["distance"]
    weak, strong, _ = tape.gradient(distance, world.batch.unlabeled)
    assert np.abs(weak).max() > 0
    assert np.abs(strong).max() > 0


def test_remixmatch_over_five_batches(monkeypatch):
    monkeypatch.setattr(remixmatch, "WINDOW", 3)
    method = METHODS["remixmatch"](weight=1.5, anchor_weight=0.4, four_way_weight=0.3, ramp_up=1.0)
    labels_seen, guesses_seen = ([np.full(CLASSES, 1 / CLASSES)] * 3 for _ in range(2))
    for world in worlds(views=3):
        weak = world.p(world.u[0])
        guess = normalized(weak * (1e-6 + np.mean(labels_seen, axis=0)) / (1e-6 + np.mean(guesses_seen, axis=0)))
        guess = softmax(np.log(np.maximum(guess, 1e-30)) / 0.5)
        labels_seen = [*labels_seen[1:], np.eye(CLASSES)[world.y].mean(0)]
        guesses_seen = [*guesses_seen[1:], weak.mean(0)]
        images = np.concatenate([world.x, *world.u])
        targets = np.concatenate([np.eye(CLASSES)[world.y], guess, guess, guess])
        order = world.draws.permutation("partner", 16).numpy()
        ratio = world.draws.beta("ratio", (16,), 0.75).numpy()
        ratio = np.maximum(ratio, 1 - ratio)
        images, targets = mixed(images, images[order], ratio), mixed(targets, targets[order], ratio)
        found = world.terms(method)
        close(found["supervised"], cross_entropy(targets[:4], world.p(images[:4])))
        close(found["consistency"], 0.5 * 1.5 * cross_entropy(targets[4:], world.p(images[4:])))
        close(found["anchor"], 0.5 * 0.4 * cross_entropy(guess, world.p(world.u[1])))
        sides = world.draws.integers("rotation", (4,), 0, 3).numpy()
        turned = np.stack([np.rot90(image, k) for image, k in zip(world.u[1], sides, strict=True)])
        kernel, bias = method.four_way.get_weights()
        expected = cross_entropy(np.eye(4)[sides], softmax(flat(turned) @ kernel + bias))
        close(found["rotations"], 0.3 * expected)
        kept = {"moves_averages": False}
        assert world.student.calls == [(4, kept), (4, {}), (12, {}), (4, {}), (4, kept)]
    np.testing.assert_allclose(method.guesses_seen.numpy().mean(0), np.mean(guesses_seen, axis=0), rtol=1e-4)


@pytest.mark.parametrize("name", THRESHOLDED)
def test_a_confidence_exactly_at_the_threshold_passes(name):
    world = World(VIEWS.get(name, 2))
    confidence = np.max(losses.softmax(world.student(world.batch.unlabeled[0])), axis=1)
    least = np.sort(confidence)[1]
    arguments = {"momentum": 1.0, "debias": 0.0} if name == "debiasmatch" else {}
    passed = []
    for threshold in (least, np.nextafter(least, np.float32(2))):
        method = METHODS[name](threshold=float(threshold), **arguments)
        world.terms(method)
        passed.append(world.batch.report.mask.numpy().tolist())
    assert passed[0] == (confidence >= least).tolist()
    assert passed[1] == (confidence > least).tolist()
    assert passed[0] != passed[1]


def setting(name, accepts):
    """A method that accepts nothing, or everything."""
    threshold = 0.0 if accepts else 1.0
    if name == "softmatch":
        method = METHODS[name](momentum=1.0)
        method.build(SIZES)
        # Weights are never 0, but with this one e^-5000.
        method.mean.assign(0.0 if accepts else 100.0)
        return method
    if name == "freematch":
        method = METHODS[name](momentum=1.0)
        method.build(SIZES)
        method.level.assign(threshold)
        return method
    if name == "flexmatch":
        method = METHODS[name](threshold=1.0, mapping="linear")
        method.build(SIZES)
        if not accepts:
            method.given.assign(np.repeat([1.0, 2.0, 3.0], 3)[:, None])
        return method
    return METHODS[name](threshold=threshold)


@pytest.mark.parametrize("accepts", [False, True])
@pytest.mark.parametrize("name", FAMILY)
def test_nothing_passes_or_everything(name, accepts):
    world = World(VIEWS.get(name, 2))
    if name == "adamatch":
        # Sure of the labeled images, and of the others not at all.
        object.__setattr__(world.batch, "labeled", 300.0 * world.batch.labeled)
        object.__setattr__(world.batch, "unlabeled", tuple(0.1 * u for u in world.batch.unlabeled))
    found = world.terms(setting(name, accepts))
    assert world.batch.report.mask.numpy().tolist() == [float(accepts)] * 4
    assert all(np.isfinite(value) for value in found.values())
    term = "consistency" if name == "uda" else "pseudo"
    assert (found[term] > 0) == accepts
    if name == "crmatch":
        assert (found["distance"] > 0) == accepts


@pytest.mark.parametrize("name", [*FAMILY, "remixmatch", "self_tuning"])
def test_one_class_only_is_finite_and_reported(name):
    views, method = {"remixmatch": 3, "crmatch": 3}.get(name, 2), METHODS[name]()
    for number in range(3):
        world = World(views, step=number, also_labeled=1 if name == "self_tuning" else 0)
        matrix = np.zeros((PIXELS, CLASSES), np.float32)
        matrix[:, 1] = 1.0
        world.student.matrix = tf.constant(matrix)
        object.__setattr__(world.batch, "unlabeled", tuple(30.0 * tf.abs(u) for u in world.batch.unlabeled))
        found = world.terms(method)
        assert all(np.isfinite(value) for value in found.values())
        assert world.batch.report.labels.numpy().tolist() == [1] * 4


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_reports_pseudo_labels_if_it_says_so(name):
    method = METHODS[name]()
    if name not in ("sesemi", "asl"):
        world = World(len(method.views.unlabeled), also_labeled=len(method.views.also_labeled))
        world.terms(method)
        reported = world.batch.report.labels is not None
        assert reported == method.gives_pseudo_labels
        if reported:
            assert world.batch.report.labels.shape == world.batch.report.mask.shape == (4,)
