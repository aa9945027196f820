"""`SemiSupervisedModel`: the custom ``train_step``, with the one GradientTape of training."""

import itertools

import keras
import tensorflow as tf
from keras import ops

from sesemi import losses, rng
from sesemi.augment import Augmentation
from sesemi.classifier import Classifier
from sesemi.methods.base import Batch, Method


class Network:
    """The student (or the teacher) as a method sees it: views in, logits out, in training mode.

    Args:
        classifier: its weights.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier

    def __call__(self, images):
        """Class logits ``[B, C]``; one trunk call, moving BatchNorm's averages."""
        return self.logits(self.features(images))

    def features(self, *batches):
        """The trunk's averaged features ``[B, F]``; one trunk call, moving BatchNorm's averages.

        Several batches go through it together, normalized together, and a tuple comes back.
        """
        if len(batches) == 1:
            return self._classifier.features(batches[0], training=True)
        ends = list(itertools.accumulate(batch.shape[0] for batch in batches))
        together = self._classifier.features(ops.concatenate(batches), training=True)
        return tuple(ops.split(together, ends[:-1]))

    def logits(self, features):
        """Class logits ``[B, C]`` of features."""
        return self._classifier.classify(features, training=True)


class SemiSupervisedModel(keras.Model):
    """Trains a classifier by a semi-supervised method, with ``model.fit``.

    ``call(images)`` is plain inference from raw pixels to class probabilities, so ``evaluate`` and ``predict`` mean
    what they mean for any Keras classifier.

    Args:
        classifier: what is trained.
        method: how.
        augmentation: how strong the views are.
        pixels: turns the batches of `pipeline.index_batches` into images on the device; None if the batches hold
            images already: ``{"step", "labeled", "labels", "unlabeled"}``, images as raw pixels, of a fixed batch size
            (``drop_remainder=True``).
        l2: adds ``l2 * sum(w**2)`` over all trained conv and dense kernels, and nothing for biases and BatchNorm
            (PyTorch's weight decay of 1e-3 is an l2 of 5e-4).
        seed: of views and dropout, in ``0 … 2**31 - 1``.

    Example:
        >>> model = SemiSupervisedModel(classifier, METHODS["sesemi"](), pixels=DevicePixels(images, labels))
        >>> model.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), metrics=["accuracy"])
        >>> model.fit(index_batches(...), epochs=50, steps_per_epoch=3125, validation_data=(test, test_labels))
    """

    def __init__(
        self,
        classifier: Classifier,
        method: Method,
        *,
        augmentation: Augmentation | None = None,
        pixels=None,
        l2: float = 5e-4,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.classifier, self.method = classifier, method
        self.augmentation = augmentation or Augmentation()
        self.pixels, self.l2, self.seed = pixels, l2, seed
        self.method.build((None, classifier.trunk.output_shape[-1]))
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in (*method.terms, "l2")}
        self.built = True

    @property
    def metrics(self):
        """The running means of the loss and of its terms, then what ``compile`` was given."""
        # Keras keeps a tracker of its own named "loss", which a custom step does not feed, and asks the compiled
        # metrics for results before `test_step` has built them.
        others = [m for m in super().metrics if m.name != "loss" and getattr(m, "built", True)]
        return [self.loss_tracker, *others]

    def call(self, images, training: bool = False):
        """Class probabilities ``[B, C]`` float32 of raw images ``[B, H, W, C]`` in 0 … 255."""
        logits = self.classifier(self.classifier.preprocess(images), training=training)
        return ops.softmax(ops.cast(logits, "float32"))

    def train_step(self, data):
        """Gather, views, losses, update; see `sesemi.methods` for what is minimized."""
        batch = self.pixels(data) if self.pixels is not None else data
        draws = rng.Draws(self.seed, batch["step"])
        views = self.views(batch, draws)
        with tf.GradientTape() as tape, rng.dropout_from(draws.at("dropout")):
            terms = self.method.loss_terms(views, Network(self.classifier), None)
            terms["l2"] = self.l2 * losses.sum_of_squares(self.kernels)
            loss = sum(terms.values())
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.loss_tracker.update_state(loss)
        for name, value in terms.items():
            self.trackers[name].update_state(value)
        return {"loss": self.loss_tracker.result(), **{name: self.trackers[name].result() for name in terms}}

    def test_step(self, data):
        """Mean cross-entropy and the compiled metrics of images with labels."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        probs = self(images, training=False)
        self.loss_tracker.update_state(losses.cross_entropy(labels, ops.log(ops.maximum(probs, 1e-30))))
        compiled = self.compute_metrics(images, labels, probs)
        return {k: v for k, v in compiled.items() if k not in self.trackers}

    @property
    def kernels(self):
        """The trained kernels of all conv and dense layers, the method's heads included."""
        return [variable for variable in self.trainable_variables if variable.name == "kernel"]

    def views(self, batch, draws: rng.Draws) -> Batch:
        """What the method sees of a batch.

        Args:
            batch: ``step``, ``labeled`` and ``unlabeled`` images as raw pixels, and ``labels``.
            draws: of the step.
        """

        def view(images, kind, name):
            return self.augmentation.view(kind, self.classifier.preprocess(images), draws.at(name))

        kinds = self.method.views
        return Batch(
            labeled=view(batch["labeled"], kinds.labeled, "labeled"),
            labels=batch["labels"],
            unlabeled=tuple(view(batch["unlabeled"], kind, f"unlabeled/{i}") for i, kind in enumerate(kinds.unlabeled)),
            step=batch["step"],
        )
