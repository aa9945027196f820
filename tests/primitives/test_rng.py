import numpy as np
import pytest
import tensorflow as tf

from sesemi.primitives.rng import Draws, dropout_draws, dropout_from


def draw(kind, seed, step):
    draws = Draws(seed, step).at("here")
    return {
        "uniform": lambda: draws.uniform("x", (50, 40)),
        "normal": lambda: draws.normal("x", (50, 40)),
        "integers": lambda: draws.integers("x", (50, 40), -2, 2),
    }[kind]()


@pytest.mark.parametrize("kind", ["uniform", "normal", "integers"])
def test_eager_graph_and_xla_agree(kind):
    eager = draw(kind, 3, 7)
    for jit in (False, True):
        compiled = tf.function(lambda step: draw(kind, 3, step), jit_compile=jit)(tf.constant(7, tf.int64))
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("shape", [(1,), (6,), (4, 5), (8, 32, 32, 3), ()])
def test_replicas_share_the_numbers_of_one_device_out(shape, jit):
    replicas = 3
    rows = (shape[0] * replicas, *shape[1:]) if shape else (replicas,)
    alone = Draws(5, 11).at("here").uniform("x", rows)
    parts = []
    for replica in range(replicas):
        draws = tf.function(lambda step, r=replica: Draws(5, step, r).at("here").uniform("x", shape), jit_compile=jit)
        parts.append(np.atleast_1d(draws(tf.constant(11, tf.int64))))
    np.testing.assert_array_equal(np.concatenate(parts), alone)


def test_names_steps_seeds_and_replicas_are_independent():
    points = [
        Draws(0, 0),
        Draws(1, 0),
        Draws(0, 1),
        Draws(0, 0, replica=1),
        Draws(0, 0).at("a"),
        Draws(2**31 - 1, 2**40),
    ]
    found = [point.uniform("x", (1000,)).numpy() for point in points] + [points[0].uniform("y", (1000,)).numpy()]
    for i, a in enumerate(found):
        for b in found[:i]:
            assert abs(np.corrcoef(a, b)[0, 1]) < 0.15


def test_uniform_is_uniform_in_the_half_open_interval():
    x = Draws(0, 0).uniform("x", (200_000,)).numpy()
    assert x.min() >= 0
    assert x.max() < 1
    assert np.abs(np.histogram(x, 20)[0] / 10_000 - 1).max() < 0.05


def test_normal_is_normal():
    from scipy import stats

    x = Draws(0, 0).normal("x", (100_000,)).numpy()
    assert np.isfinite(x).all()
    assert stats.kstest(x, "norm").pvalue > 1e-3


def test_integers_include_both_ends_evenly():
    counts = np.bincount(Draws(0, 0).integers("x", (50_000,), -2, 2).numpy() + 2)
    assert len(counts) == 5
    assert np.abs(counts / 10_000 - 1).max() < 0.05


def test_dropout_draws_end_with_their_block():
    assert dropout_draws() is None
    with dropout_from(Draws(0, 0)) as _:
        first, second = dropout_draws().next_call("a"), dropout_draws().next_call("a")
        assert (first.uniform("m", (9,)).numpy() != second.uniform("m", (9,)).numpy()).any()
    assert dropout_draws() is None


@pytest.mark.parametrize("alpha", [0.3, 0.75, 1.0, 4.0])
def test_beta_has_the_distribution(alpha):
    from scipy import stats

    draws = Draws(3, 5).beta("ratio", (20_000,), alpha).numpy()
    assert draws.min() >= 0.0
    assert draws.max() <= 1.0
    assert stats.kstest(draws.astype(float), stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_permutation_is_one_and_changes_with_the_step():
    orders = [Draws(1, step).permutation("order", 50).numpy() for step in range(3)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert (orders[0] != orders[1]).any()
    firsts = [int(Draws(0, step).permutation("order", 4)[0]) for step in range(400)]
    assert np.bincount(firsts).min() > 60


@pytest.mark.parametrize("name", ["beta", "permutation"])
def test_the_same_eager_and_under_xla(name):
    def draw(step):
        draws = Draws(1, step)
        return draws.beta("a", (33,), 0.75) if name == "beta" else draws.permutation("a", 33)

    step = tf.constant(7, tf.int64)
    np.testing.assert_allclose(tf.function(draw, jit_compile=True)(step), draw(step), rtol=1e-6)
