import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi.primitives import autodiff, memory, mixing


@pytest.mark.parametrize("jit", [False, True])
def test_of_duplicates_the_later_row_stays(jit):
    table = keras.Variable(np.zeros((6, 2)), trainable=False)
    index, rows = tf.constant([4, 1, 4, 0, 4]), tf.reshape(tf.range(10.0), (5, 2))
    tf.function(lambda: memory.write(table, index, rows), jit_compile=jit)()
    expected = np.zeros((6, 2))
    for i, row in zip(index.numpy(), rows.numpy(), strict=True):
        expected[i] = row
    np.testing.assert_array_equal(table, expected)
    np.testing.assert_array_equal(memory.read(table, tf.constant([1, 4])), expected[[1, 4]])


def test_permuted_indices_permute_the_table(rng):
    rows, order = rng.normal(size=(5, 3)).astype(np.float32), rng.permutation(5)
    tables = [keras.Variable(np.zeros((5, 3)), trainable=False) for _ in range(2)]
    memory.write(tables[0], tf.constant(np.arange(5)), tf.constant(rows))
    memory.write(tables[1], tf.constant(order), tf.constant(rows))
    np.testing.assert_array_equal(tables[0].numpy(), tables[1].numpy()[order])


def test_a_table_takes_no_gradient():
    table, x = keras.Variable(np.zeros((3, 1)), trainable=False), tf.constant([[2.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        memory.write(table, tf.constant([1]), x)
        value = tf.reduce_sum(memory.read(table, tf.constant([1])))
    assert tape.gradient(value, x) is None


def test_mix_is_the_weighted_mean_row_by_row(rng):
    a, b, ratio = rng.normal(size=(4, 2, 2, 1)), rng.normal(size=(4, 2, 2, 1)), np.array([1.0, 0.0, 0.25, 0.5])
    found = np.asarray(mixing.mix(a, b, ratio))
    for i in range(4):
        np.testing.assert_allclose(found[i], ratio[i] * a[i] + (1 - ratio[i]) * b[i], rtol=1e-6)


@pytest.mark.parametrize(("count", "size"), [(3, 6), (3, 7), (2, 5), (1, 4)])
def test_interleaving_is_its_own_inverse_and_the_first_batch_holds_some_of_each(count, size):
    batches = [tf.constant(100 * i + np.arange(size)) for i in range(count)]
    mixed = mixing.interleave(batches)
    assert {int(v) // 100 for v in mixed[0]} == set(range(count))
    for before, after in zip(batches, mixing.interleave(mixed), strict=True):
        np.testing.assert_array_equal(before, after)


def test_interleaving_needs_one_size():
    with pytest.raises(ValueError, match="one size, got 2, 3"):
        mixing.interleave([tf.zeros(2), tf.zeros(3)])


@pytest.mark.parametrize("jit", [False, True])
def test_input_gradient_is_the_derivative_and_a_constant(jit):
    w = tf.Variable([1.0, 2.0])

    @tf.function(jit_compile=jit)
    def outer(x):
        with tf.GradientTape() as tape:
            found = autodiff.input_gradient(lambda at: tf.reduce_sum(w * at**3), x)
            value = tf.reduce_sum(found * w)
        return found, tape.gradient(value, w)

    found, gradient = outer(tf.constant([3.0, -1.0]))
    np.testing.assert_allclose(found, [27.0, 6.0])
    # Only through the second factor: the gradient found is a constant.
    np.testing.assert_allclose(gradient, [27.0, 6.0])
