import numpy as np
import pytest
import tensorflow as tf

from sesemi.rng import Draws, dropout_draws, dropout_from


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
