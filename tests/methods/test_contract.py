"""What every method must hold to, run over all that are registered."""

import functools
import re
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi import config
from sesemi.assembly import materials as materials_of
from sesemi.augmentation.views import Augmentation
from sesemi.config import registry
from sesemi.methods import METHODS
from sesemi.methods.base import Views
from sesemi.primitives import rng
from sesemi.training import monitor
from sesemi.training.network import Network
from tests.messages import refused

METHOD_NAMES = sorted(METHODS)
# Of these the labeled images are mixed with others, or see strong views, or the student is replaced on the way,
# whatever the weight: see test_methods.
NEVER_SUPERVISED = {"mixmatch", "remixmatch", "self_tuning", "noisy_student"}
# So much of a method that every term moves the student within a few steps of a tiny network.
LIVELY = {
    "fixmatch": {"threshold": 0.3},
    "uda": {"threshold": 0.3},
    "flexmatch": {"threshold": 0.5},
    "debiasmatch": {"threshold": 0.3},
    "dst": {"threshold": 0.3, "reversal_steps": 5.0, "width": 16},
    "self_tuning": {"projection": 16, "queue": 4},
    "noisy_student": {"rounds": 3},
    "freematch": {"weight": 0.1, "fairness_weight": 0.1, "highest_threshold": 0.3},
    "crmatch": {"threshold": 0.3},
}
# Switches that change what is computed, beside the defaults.
VARIANTS = {
    "pi_model/both": ("pi_model", {"both_sides": True}),
    "temporal_ensembling/iteration": ("temporal_ensembling", {"update": "iteration"}),
    "temporal_ensembling/logits": ("temporal_ensembling", {"average": "logits"}),
    "mean_teacher/heads": ("mean_teacher", {"two_heads": True}),
    "mean_teacher/kl_averages": ("mean_teacher", {"consistency": "kl", "teacher_normalizes_by": "averages"}),
    "vat/mse": ("vat", {"distance": "mse", "weight": 30.0}),
    "vat/entropy": ("vat", {"entropy_weight": 1.0, "power_iterations": 2}),
    "mixmatch/joint": ("mixmatch", {"joint_forward": True, "mix_per": "batch", "guesses": 3}),
    "pseudo_label/epoch": ("pseudo_label", {"target": "epoch"}),
    "pseudo_label/soft": ("pseudo_label", {"hard": False, "target": "epoch", "threshold": 0.3, "ramp": "delayed"}),
    "mix_pseudo_label/hard": ("mix_pseudo_label", {"hard": True}),
    "mean_teacher/rotation": ("mean_teacher", {"self_supervision": 0.7}),
    "pi_model/labeled": ("pi_model", {"regularize_labeled": True}),
    "fixmatch/epoch": ("fixmatch", {"threshold": 0.3, "target": "epoch"}),
    "fixmatch/rotation": ("fixmatch", {"threshold": 0.3, "self_supervision": 0.7}),
    "uda/tsa": ("uda", {"threshold": 0.3, "tsa": "log"}),
    "flexmatch/concave": ("flexmatch", {"threshold": 0.5, "mapping": "concave", "warm_up": False}),
    "adamatch/paper": (
        "adamatch",
        {"joint_forward": True, "interpolate": True, "strong_labels": True, "ramp": "cosine", "momentum": 0.0},
    ),
    "softmatch/raw": ("softmatch", {"align": False}),
    "freematch/quantile": (
        "freematch",
        {"weight": 0.1, "fairness_weight": 0.1, "level_by": "quantile", "highest_threshold": 0.3},
    ),
    "noisy_student/filtered": ("noisy_student", {"rounds": 3, "threshold": 0.3, "balanced": True, "temperature": 2.0}),
}
CASES = {**{name: (name, LIVELY.get(name, {})) for name in METHOD_NAMES}, **VARIANTS}
# Those that keep state or add a head, beside the plain methods, for checks that need not see every switch.
FEWER = [*METHOD_NAMES, "mean_teacher/heads", "pseudo_label/epoch", "mean_teacher/rotation"]
SPECIAL = [
    "vat/entropy",
    "mixmatch/joint",
    "temporal_ensembling/iteration",
    "mix_pseudo_label/hard",
    "adamatch/paper",
    "freematch/quantile",
    "uda/tsa",
]
# Enough steps for every image of the pool of forty to be seen twice, six a step.
SEEN_TWICE = 14


def of_each(cases):
    """Parameters whose tests run in one process for each case, so that what is trained for a case is trained once."""
    marks = {case: [pytest.mark.slow, pytest.mark.xdist_group(f"contract {case}")] for case in cases}
    return [pytest.param(case, marks=marks[case]) for case in cases]


def build(small, case, **kwargs):
    method, arguments = CASES[case]
    return small.model(method, **arguments, **kwargs)


def weights(model):
    return [variable.numpy() for variable in model.classifier.trainable_variables]


def all_weights(model):
    return [variable.numpy() for variable in model.weights]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


class Trained:
    """A model that is trained once and used by many tests: each puts it into the state that it needs.

    Attributes:
        weights: of the classifier after `SEEN_TWICE` steps.
        all_weights: of the whole model then: tables, teacher and heads too.
        traces: one entry for each time that the step was traced.
    """

    def __init__(self, small, case, **kwargs):
        self._model, self.traces = build(small, case, **kwargs), []
        self._variables = [*self._model.variables, *self._model.optimizer.variables]
        self._start = [variable.numpy() for variable in self._variables]
        step = self._model.train_step
        self._model.train_step = lambda data: (self.traces.append(1), step(data))[1]

    def train(self, small):
        small.fit(self._model, stop=SEEN_TWICE)
        self._end = [variable.numpy() for variable in self._variables]
        self.weights, self.all_weights = weights(self._model), all_weights(self._model)
        for value in [*self._start, *self._end, *self.weights, *self.all_weights]:
            value.setflags(write=False)
        return self

    def at_start(self):
        return self._at(self._start)

    def at_end(self):
        return self._at(self._end)

    def carry_end_to(self, model):
        """Give another model of the same case what this one knows at its end."""
        for variable, value in zip([*model.variables, *model.optimizer.variables], self._end, strict=True):
            variable.assign(value)

    def _at(self, values):
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        return self._model


@pytest.fixture(scope="session")
def trained(small):
    """Of a case: `Trained`, as a run without disturbances leaves it."""
    # The tests of a case follow each other: one case at a time is enough, and memory stays small.
    return functools.lru_cache(maxsize=1)(lambda case: Trained(small, case).train(small))


@pytest.fixture(scope="session")
def supervised_weights(small):
    return Trained(small, "supervised").train(small).weights


@pytest.fixture(scope="session")
def second(small, trained, tmp_path_factory):
    """Of a case, a second model, which is told wrong labels of the unlabeled images: `all_weights` after a run that the
    first model began and this one, as new, finished, then its own `Trained` from the first step to the last.
    """

    @functools.lru_cache(maxsize=1)
    def make(case):
        path = tmp_path_factory.mktemp("half") / "half.weights.h5"
        first = trained(case).at_start()
        small.fit(first, stop=4)
        small.fit(first, start=4, stop=9)
        first.save_weights(path)
        poisoned = np.where(np.isin(np.arange(40), small.labeled), small.labels, 2 - small.labels)
        second = Trained(small, case, labels=poisoned)
        model = second.at_start()
        model.load_weights(path)
        small.fit(model, start=9, stop=SEEN_TWICE)
        assert int(model.optimizer.iterations) == SEEN_TWICE
        resumed = all_weights(model)
        second.at_start()
        return resumed, second.train(small)

    return make


def test_registry_matches_the_command_line():
    assert list(METHODS) == list(registry.METHODS)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_arguments_are_attributes(name):
    method = METHODS[name]()
    assert isinstance(method.views, Views)
    method.check()
    for argument, default in METHODS[name].arguments().items():
        assert getattr(method, argument) == default
        # Python 3.13 takes the indentation out.
        assert re.search(rf"^ +{argument}: ", METHODS[name].__doc__, re.MULTILINE)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_arguments_out_of_range_are_refused(name):
    for argument, default in METHODS[name].arguments().items():
        for bad in ("nonsense", None, -1.0, float("nan")):
            with pytest.raises(ValueError, match=f"^{argument}="):
                METHODS[name](**{argument: bad}).check()
        if isinstance(default, int) and not isinstance(default, bool):
            with pytest.raises(ValueError, match="whole number"):
                METHODS[name](**{argument: 1.5}).check()


def terms_of(model, small):
    """Of one step, after some that have filled the tables, and the tape that watched it."""
    batch = model.pixels(next(iter(small.batches(SEEN_TWICE, SEEN_TWICE + 1))))
    draws = rng.Draws(5, batch["step"])
    views = model.views(batch, draws)
    with tf.GradientTape(persistent=True) as tape, rng.dropout_from(draws.at("dropout")):
        if model.teacher is not None:
            tape.watch([v.value for v in model.teacher.weights])
        terms = model.method.loss_terms(views, *model.networks(draws))
    return terms, tape


@pytest.mark.parametrize("case", of_each(CASES))
def test_every_term_is_finite_and_moves_the_student_and_never_the_teacher(case, small, trained):
    model = trained(case).at_end()
    terms, tape = terms_of(model, small)
    assert tuple(terms) == model.method.terms
    if model.teacher is not None:
        for term, value in terms.items():
            gradients = tape.gradient(value, [v.value for v in model.teacher.weights if v.dtype == "float32"])
            assert all(g is None or not np.any(g) for g in gradients), f"{term} moves the teacher"
    for term, value in terms.items():
        assert value.shape == ()
        assert np.isfinite(value), term
        assert float(value) > 0 or (term == "fairness" and float(value) < 0), term
        gradients = tape.gradient(value, model.classifier.trunk.trainable_variables)
        norm = sum(float(tf.reduce_sum(tf.abs(g))) for g in gradients if g is not None)
        assert np.isfinite(norm), term
        assert norm > 1e-3, f"{term} does not move the student"


class FixedViews(Augmentation):
    """Views with a constant noise: to compile what draws them takes XLA as long as all else in a step."""

    def view(self, kind, images, draws, preprocess):
        noise = np.random.default_rng(zlib.crc32(f"{draws._path} {kind}".encode())).normal(size=images.shape)
        return preprocess(images) + 0.15 * noise.astype(np.float32)


# Every kind of view is compiled in one of these; test_rng and test_randaugment compare what it draws.
WITH_DRAWN_VIEWS = {"fixmatch", "sesemi"}


@pytest.mark.parametrize("case", of_each([*METHOD_NAMES, *SPECIAL]))
def test_eager_equals_forced_xla(case, small):
    # So short a run that the students of noisy_student follow each other in it.
    short = {"total_steps": 3} if case.startswith("noisy_student") else {}
    compiled, eager = build(small, case, jit=True, **short), build(small, case, run_eagerly=True, **short)
    if case not in WITH_DRAWN_VIEWS:
        compiled.augmentation = eager.augmentation = FixedViews()
    logs = [small.fit(model, pool=small.unlabeled[:12]).history for model in (compiled, eager)]
    assert logs[0].keys() == logs[1].keys()
    for key in logs[0]:
        np.testing.assert_allclose(logs[0][key], logs[1][key], rtol=2e-3, err_msg=key)
    for a, b in zip(weights(compiled), weights(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-4)


@pytest.mark.parametrize("name", of_each(sorted(set(METHOD_NAMES) - {"supervised"} - NEVER_SUPERVISED)))
def test_weight_zero_is_the_supervised_step_to_the_bit(name, small, trained, supervised_weights):
    weights_of_terms = [a for a in METHODS[name].arguments() if a.endswith("weight") and a != "worst_labeled_weight"]
    assert weights_of_terms
    zero = small.model(name, **dict.fromkeys(weights_of_terms, 0.0))
    small.fit(zero, stop=SEEN_TWICE)
    assert_same(supervised_weights, weights(zero))
    assert any((a != b).any() for a, b in zip(trained(name).weights, weights(zero), strict=True))


def test_joint_forward_normalizes_both_batches_together(small):
    model = small.model("sesemi", joint_forward=True, trunk_dropout=0.0)
    batch = model.pixels(next(iter(small.batches())))
    views = model.views(batch, rng.Draws(0, 0))
    network, _ = model.networks(rng.Draws(0, 0))
    joint = network.features(views.labeled, views.unlabeled[0])
    both = network.features(np.concatenate([views.labeled, views.unlabeled[0]]))
    np.testing.assert_allclose(np.concatenate(joint), both, rtol=1e-4, atol=1e-4)
    assert np.abs(joint[0] - network.features(views.labeled)).max() > 1e-2


@pytest.mark.parametrize("case", of_each(FEWER))
def test_labels_of_unlabeled_images_are_never_read(case, trained, second):
    """They are -1 in one run and wrong in the other."""
    _, poisoned = second(case)
    assert_same(trained(case).weights, poisoned.weights)


@pytest.mark.parametrize("case", of_each(FEWER))
def test_save_load_resume_is_exact_to_the_bit_and_a_step_is_traced_once(case, trained, second):
    """Tables, teacher and heads included: all are weights of the model."""
    resumed, _ = second(case)
    assert len(trained(case).traces) == 1
    assert_same(trained(case).all_weights, resumed)


@pytest.mark.parametrize("case", of_each(FEWER))
def test_bfloat16_is_finite_and_keeps_float32_weights(case, small, trained):
    """The first steps, then those after the tables are full."""
    filled = trained(case)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(small, case, run_eagerly=True)
    histories = [small.fit(model, stop=2).history]
    filled.carry_end_to(model)
    histories.append(small.fit(model, start=SEEN_TWICE, stop=SEEN_TWICE + 1).history)
    for history in histories:
        # Where nothing is accepted, nothing of it is right.
        history.pop(monitor.ACCURACY, None)
        assert all(np.isfinite(value).all() for value in history.values())
    assert all(np.isfinite(v.numpy()).all() for v in model.weights if "float" in v.dtype)
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    student, _ = model.networks(rng.Draws(0, 0))
    features = student.features(np.zeros((2, 8, 8, 2), np.float32))
    assert (features.dtype, student.logits(features).dtype) == ("bfloat16", "float32")


def test_sesemi_is_the_published_loss_of_the_six_transforms_of_unflipped_images(small):
    """The two terms against plain numpy, from the views and the logits; ASL is the same on the labeled pool."""
    assert METHODS["sesemi"].views == METHODS["asl"].views == Views(labeled="weak", unlabeled=("unflipped",))
    assert (METHODS["sesemi"].unlabeled_pool, METHODS["asl"].unlabeled_pool) == ("unlabeled", "labeled")
    model = small.model("sesemi", trunk_dropout=0.0, rotation_weight=0.7)
    batch = model.pixels(next(iter(small.batches())))
    views = model.views(batch, rng.Draws(0, 0))
    network, _ = model.networks(rng.Draws(0, 0))
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
    pools = {}
    for method in ("sesemi", "supervised", "asl"):
        materials = materials_of.gather(config.resolve({"method": method, "labels": 20})[0])
        pools[method] = (len(materials.pool), materials.steps_per_epoch)
    assert pools == {"sesemi": (1000, 62), "supervised": (1000, 62), "asl": (20, 1)}


def test_the_perturbed_passes_of_vat_keep_the_masks_of_the_clean_one(small):
    """Without a perturbation nothing changes, although everything drops out; with other masks it would."""
    model = small.model("vat", epsilon=0.0, trunk_dropout=0.5)
    terms, _ = terms_of_step(model, small)
    assert float(terms["adversarial"]) == pytest.approx(0.0, abs=1e-6)
    model.networks = lambda draws: (_WithOwnMasks(model.classifier, draws=draws), None)
    terms, _ = terms_of_step(model, small)
    assert float(terms["adversarial"]) > 1e-3


class _WithOwnMasks(Network):
    def together(self, *batches, same_masks=False, **how):
        return super().together(*batches, **how)


def terms_of_step(model, small):
    batch = model.pixels(next(iter(small.batches())))
    draws = rng.Draws(5, batch["step"])
    views = model.views(batch, draws)
    with rng.dropout_from(draws.at("dropout")):
        return model.method.loss_terms(views, *model.networks(draws)), views


def test_the_unlabeled_batch_can_hold_the_labeled_one(small):
    model = small.model("pi_model", regularize_labeled=True)
    batch = model.pixels(next(iter(small.batches())))
    views = model.views(batch, rng.Draws(0, 0))
    assert [view.shape[0] for view in views.unlabeled] == [12, 12]
    np.testing.assert_array_equal(views.index, [*batch["unlabeled_index"], *batch["labeled_index"]])


@pytest.mark.parametrize("name", of_each(METHOD_NAMES))
def test_a_method_says_whether_it_remembers_images(name, small):
    method = METHODS[name]()
    sizes = {"labeled": 6, "unlabeled": 6, "joint_forward": True, "regularize_labeled": True}
    assert any(v.shape[:1] == (40,) for v in small.model(name).method.weights) == method.remembers_images
    if name == "self_tuning":
        with refused("--regularize-labeled: self_tuning"):
            method.check_batches(**sizes)
    elif method.remembers_images:
        with refused("--regularize-labeled"):
            method.check_batches(**sizes)
        # Nobody who comes without the command line gets past it either.
        with refused("--regularize-labeled"):
            small.fit(small.model(name, regularize_labeled=True))
    else:
        method.check_batches(**sizes)
