"""Three Keras layers for training; the exported model has the stock ones, with the same weights and answers.

- Keras' BatchNormalization is unfused and goes through float32; `FusedBatchNormalization` is TensorFlow's one kernel.
  `benchmarks/throughput.py` measures the gain.
- Keras' Dropout draws from a variable that checkpoints leave out; `StepDropout` draws from (seed, step).
- `ShakeShake` mixes two branches at random where inference averages them.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import keras
import tensorflow as tf

from sesemi.primitives import replicas, rng

# Names of BatchNorm's variables that no gradient moves.
MOVING_AVERAGES = ("moving_mean", "moving_variance")
_averages_kept: contextvars.ContextVar[bool] = contextvars.ContextVar("averages_kept", default=False)


@contextlib.contextmanager
def averages_kept() -> Iterator[None]:
    """Let `FusedBatchNormalization` normalize training batches by their own statistics and remember nothing of them.

    Inside this context it does so in a frozen network too, such as a teacher.
    """
    token = _averages_kept.set(True)
    try:
        yield
    finally:
        _averages_kept.reset(token)


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of ``[B, H, W, C]`` by one fused kernel in training, with the same variables.

    Each of several replicas normalizes its own images, or, if ``synchronized``, normalizes them by the statistics of
    all. The moving averages move by the statistics that it normalized by. `sesemi.training.model.SemiSupervisedModel`
    then averages them.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalize by the batch in training; in inference call the stock layer."""
        kept = _averages_kept.get()
        if not training or not (self.trainable or kept) or len(inputs.shape) != 4 or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        together = self.synchronized and replicas.count() > 1
        outputs, mean, variance = self._by_all_replicas(inputs) if together else self._by_own_images(inputs)
        if kept:
            return outputs
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _by_own_images(self, inputs):
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        return outputs, mean, variance * (count - 1.0) / count

    def _by_all_replicas(self, inputs):
        images = tf.cast(inputs, tf.float32)
        mean, squares = replicas.mean([tf.reduce_mean(x, axis=(0, 1, 2)) for x in (images, tf.square(images))])
        variance = tf.maximum(squares - tf.square(mean), 0.0)
        scale = tf.math.rsqrt(variance + self.epsilon) * self.gamma
        return tf.cast((images - mean) * scale + self.beta, inputs.dtype), mean, variance


class StepDropout(keras.layers.Dropout):
    """`keras.layers.Dropout` whose masks are a function of (seed, step, layer, call) inside `rng.dropout_from`.

    Outside of it, it is the stock layer.

    Attributes:
        salt: Name that tells the dropout layers of one network apart.
    """

    salt = "head"

    def call(self, inputs, training=False):
        """Drop units by the masks of the step; outside of `rng.dropout_from` and in inference call the stock layer."""
        draws = rng.dropout_draws()
        if not training or not self.rate or draws is None:
            return super().call(inputs, training=training)
        keep = 1.0 - self.rate
        mask = draws.next_call(self.salt).uniform("mask", tf.shape(inputs)) < keep
        return tf.where(mask, inputs / keep, tf.zeros_like(inputs))


class ShakeShake(keras.layers.Average):
    """`keras.layers.Average` of two branches, which in training are mixed at random (Gastaldi 2017, arXiv:1705.07485).

    For each image it is ``a x1 + (1 - a) x2`` forward. Backward, ``b``, an independent draw, takes the place of ``a``.
    Both are uniform in [0, 1]. Outside of `rng.dropout_from`, and in inference, it is the stock layer.
    """

    salt = "head"

    def call(self, inputs, training=False):
        """Mix the branches at random; outside of `rng.dropout_from` and in inference average them."""
        draws = rng.dropout_draws()
        if not training or draws is None:
            return super().call(inputs)
        first, second = inputs
        draws = draws.next_call(self.salt)
        shape = [tf.shape(first)[0], 1, 1, 1]
        forward, backward = (tf.cast(draws.uniform(name, shape), first.dtype) for name in ("forward", "backward"))
        learns = backward * first + (1.0 - backward) * second
        shows = forward * first + (1.0 - forward) * second
        return learns + tf.stop_gradient(shows - learns)

    def compute_output_spec(self, inputs, training=False):
        """Return the spec of the stock layer, whose method does not take `training`."""
        return super().compute_output_spec(inputs)


_TRAINED = {
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Dropout: StepDropout,
    keras.layers.Average: ShakeShake,
}
_STOCK = {trained: stock for stock, trained in _TRAINED.items()}


def for_training(model: keras.Model, *, synchronized: bool = False) -> keras.Model:
    """Return a copy of a functional model, with the same weights, that trains with the layers of this file.

    Args:
        model: Model of stock layers.
        synchronized: True lets the replicas of a strategy normalize their images together.
    """
    copy = _swap(model, _TRAINED, dtype=None, synchronized=synchronized)
    for number, layer in enumerate(layer for layer in copy.layers if isinstance(layer, StepDropout | ShakeShake)):
        layer.salt = f"trunk/{number}"
    return copy


def for_export(model: keras.Model) -> keras.Model:
    """Return the inverse of `for_training`: stock layers in float32, with the same weights, which can be trained."""
    return _swap(model, _STOCK, dtype="float32", synchronized=False)


def _swap(model: keras.Model, classes: dict[type, type], dtype: str | None, synchronized: bool) -> keras.Model:
    def clone(layer):
        config = layer.get_config()
        if dtype is not None:
            # The layers of a teacher are frozen, each by itself.
            config |= {"dtype": dtype, "trainable": True}
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = synchronized
        return classes.get(type(layer), type(layer)).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
