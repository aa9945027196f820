"""`SemiSupervisedModel`: the custom ``train_step``, with the one GradientTape of training."""

import contextlib
import itertools
import math
import re

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from sesemi.augmentation.views import Augmentation
from sesemi.errors import InputError
from sesemi.methods.base import Batch, Method, Sizes
from sesemi.primitives import losses, replicas, rng, schedules
from sesemi.primitives.layers import MOVING_AVERAGES
from sesemi.training.classifier import Classifier
from sesemi.training.monitor import PseudoLabelMonitor
from sesemi.training.network import Network
from sesemi.training.students import NewStudents
from sesemi.training.teacher import EMATeacher


class SemiSupervisedModel(keras.Model):
    """Classifier that ``model.fit`` trains by a semi-supervised method.

    ``call(images)`` is plain inference from raw pixels to class probabilities. So ``evaluate`` and ``predict`` mean the
    same as for any Keras classifier. If the method has a teacher, it is ``teacher``, a second classifier. ``fit`` moves
    it by `sesemi.training.teacher.EMATeacher` unless the caller brings one.

    Args:
        classifier: Classifier to train.
        method: Method to train it by.
        augmentation: Strength of the views.
        pixels: Function that turns the batches of `sesemi.pipeline.batches.index_batches` into images on the device.
            None if the batches hold images already: ``{"step", "labeled", "labels", "unlabeled"}``, images as raw
            pixels, of a fixed batch size (``drop_remainder=True``). A method that keeps a table of the images needs
            `pixels`.
        l2: Factor of ``sum(w**2)`` over all trained conv and dense kernels, which is added to the loss. Biases and
            BatchNorm have no such term. (PyTorch's weight decay of 1e-3 is an l2 of 5e-4.)
        seed: Seed of views and dropout, in ``0 … 2**31 - 1``.
        joint_forward: True makes one trunk call for the labeled and the unlabeled batch, normalized together in
            training as with the moving averages afterwards. False makes one call for each.
        regularize_labeled: True lets the labeled images of a step join its unlabeled ones, so that the unlabeled loss
            covers them too.
        total_steps: Number of updates of the whole run, for ramps; default: epochs x steps of the first ``fit``.
        unlabeled_images: Number of images that the unlabeled batches are drawn from; default: all.
        ema_part: Largest part of the run's updates that the teacher averages over, in (0, 1]; a method's ``ema_decay``
            is cut to ``1 - 1 / (ema_part * total_steps)``. With 1 it is, as good as always, what the method says.
        ema_warm_up: See `sesemi.training.teacher.EMATeacher`.

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
        joint_forward: bool = False,
        regularize_labeled: bool = False,
        total_steps: int | None = None,
        unlabeled_images: int | None = None,
        ema_part: float = 0.1,
        ema_warm_up: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.classifier, self.method = classifier, method
        self.augmentation = augmentation or Augmentation()
        self.pixels, self.l2, self.seed = pixels, l2, seed
        self.joint_forward, self.regularize_labeled = joint_forward, regularize_labeled
        self.total_steps, self.ema_part, self.ema_warm_up = total_steps, ema_part, ema_warm_up
        if pixels is not None:
            _refuse_labels(pixels.labels.numpy(), classifier.num_classes, unlabeled=True)
        images = None if pixels is None else len(pixels)
        method.check()
        height, width, features = classifier.trunk.output_shape[1:]
        values = None if None in (height, width) else height * width * features
        labeled = None if pixels is None else int((pixels.labels.numpy() >= 0).sum())
        method.build(Sizes(features, classifier.num_classes, images, unlabeled_images, values, labeled))
        if method.students > 1:
            self.student_number = self.add_weight(name="student_number", initializer="zeros", trainable=False)
        # With several workers, these tell whether this one was asked to stop, and whether any was, as of the last step.
        self.stop_here = self.stop_anywhere = None
        if replicas.several_workers():
            self.stop_here, self.stop_anywhere = (tf.Variable(0.0, trainable=False) for _ in range(2))
        self._mover: EMATeacher | None = None
        self.teacher = None if method.ema_decay is None else classifier.frozen_copy("teacher")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in (*method.terms, "l2")}
        self.monitor = PseudoLabelMonitor(classifier.num_classes) if method.gives_pseudo_labels else None
        self.built = True

    @property
    def metrics(self):
        """Running means of the loss and of its terms, then the metrics that ``compile`` was given."""
        # Keras keeps a tracker of its own named "loss", which a custom step does not feed, and asks the compiled
        # metrics for results before `test_step` has built them.
        others = [m for m in super().metrics if m.name != "loss" and getattr(m, "built", True)]
        return [self.loss_tracker, *others]

    def _maybe_symbolic_build(self, *args, **kwargs):
        # Everything is built already; under a strategy Keras would trace the step once more to make sure.
        pass

    def call(self, images, training: bool = False):
        """Return class probabilities ``[B, C]`` float32 of raw images ``[B, H, W, C]`` in 0 … 255, by the student."""
        return losses.softmax(self.classifier(self.classifier.preprocess(images), training=training))

    @property
    def networks_by_name(self) -> dict[str, Classifier]:
        """Classifiers ``student`` and, if any, ``teacher``; the one that the method's paper evaluates comes first."""
        if self.teacher is None:
            return {"student": self.classifier}
        found = {"student": self.classifier, "teacher": self.teacher}
        first = self.method.evaluated
        return {first: found[first], **found}

    @property
    def teacher_decay(self) -> float | None:
        """Decay of the teacher in this run, see `ema_part`; None if there is no teacher."""
        decay = self.method.ema_decay
        return None if decay is None else schedules.longest_decay(decay, self.total_steps, self.ema_part)

    @property
    def evaluated(self) -> Classifier:
        """Classifier that the method's paper evaluates: the first of `networks_by_name`."""
        return next(iter(self.networks_by_name.values()))

    def save(self, filepath, overwrite: bool = True) -> None:
        """Write the `evaluated` classifier as a plain Keras model; see `Classifier.save`.

        ``save_weights`` keeps what training needs to go on: the other network, the method's memory and the optimizer.
        """
        self.evaluated.save(filepath, overwrite)

    def export(self, filepath, *args, **kwargs) -> None:
        """Write the `evaluated` classifier for serving; see `Classifier.export`."""
        self.evaluated.export(filepath, *args, **kwargs)

    def get_config(self):
        """Refuse, as `Classifier.get_config` does."""
        return self.classifier.get_config()

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, **kwargs):
        """Call `keras.Model.compile`, without a loss: the losses are the method's.

        Raises:
            InputError: A loss or weights of losses are given.
        """
        for name, value in (("loss", loss), ("loss_weights", loss_weights)):
            if value is not None:
                how = "leave it out, or give the method other arguments"
                raise InputError("the losses are those of the method", setting=name, value=value, cure=how)
        super().compile(optimizer, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Call `keras.Model.evaluate` on images that all have a label.

        Raises:
            InputError: A label is -1 or no class.
        """
        if y is not None:
            _refuse_labels(y, self.classifier.num_classes)
        with self._labels_named():
            return super().evaluate(x, y, *args, **kwargs)

    def fit(self, x=None, *args, epochs: int = 1, steps_per_epoch: int | None = None, callbacks=None, **kwargs):
        """Call `keras.Model.fit`; also move the teacher, if any, and set the length of the run, if nobody did.

        Raises:
            InputError: Labels, or weights of classes or samples, are given: batches hold indices, or images of both
                kinds, and all rows of a loss count alike. Or a label of the validation images is -1 or no class.
        """
        if args or kwargs.get("y") is not None:
            raise InputError("takes batches, as `index_batches` makes them, and no labels beside them", setting="y")
        for name in ("class_weight", "sample_weight"):
            if kwargs.get(name) is not None:
                cure = "leave it out; a rare class counts more if more of its images are labeled"
                raise InputError("the losses of the method count every image alike", setting=name, cure=cure)
        validation = kwargs.get("validation_data")
        if isinstance(validation, tuple | list) and len(validation) > 1:
            _refuse_labels(validation[1], self.classifier.num_classes)
        callbacks = list(callbacks or ())
        if self.total_steps is None:
            steps = steps_per_epoch or int(x.cardinality())
            if steps < 1:
                raise ValueError("give fit steps_per_epoch: the batches have no end, and ramps are parts of the run")
            self.total_steps = epochs * steps
        decay = self.teacher_decay
        if decay is not None and not any(isinstance(callback, EMATeacher) for callback in callbacks):
            self._mover = self._mover or EMATeacher(decay, warm_up=self.ema_warm_up)
            callbacks.insert(0, self._mover)
        if self.method.students > 1:
            callbacks.insert(0, NewStudents())
        with self._labels_named():
            return super().fit(x, epochs=epochs, steps_per_epoch=steps_per_epoch, callbacks=callbacks, **kwargs)

    @contextlib.contextmanager
    def _labels_named(self):
        """Say in one line that a label of a batch is no class; TensorFlow shows its graph."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            wrong = re.search(r"Received a label value of (-?\d+)", error.message)
            if wrong is None:
                raise
            cure = f"give batches of images with labels from 0 to {self.classifier.num_classes - 1}"
            raise InputError("is no class", setting="labels", value=int(wrong[1]), cure=cure) from None

    def train_step(self, data):
        """Make one update: gather, views, losses, update. See `sesemi.methods` for the losses."""
        batch = self.pixels(data) if self.pixels is not None else data
        draws = rng.Draws(self.seed, batch["step"], replicas.number())
        views = self.views(batch, draws)
        with tf.GradientTape() as tape, rng.dropout_from(draws.at("dropout")):
            terms = self.method.loss_terms(views, *self.networks(draws))
            terms["l2"] = self.l2 * losses.sum_of_squares(self.kernels)
            loss = sum(terms.values())
            # Keras adds up the gradients of the replicas.
            scaled = self.optimizer.scale_loss(loss / replicas.count())
        gradients = self.finite_on_all(tape.gradient(scaled, self.trainable_variables))
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.agree_on_averages()
        shown = self.tracked({"loss": loss, **terms})
        if self.monitor is not None:
            shown |= self.monitored(views, self.monitor)
        # Keras reduces the logs of several workers over their first axis (keras issue 20585).
        return {name: value[None] for name, value in shown.items()} if replicas.several_workers() else shown

    def finite_on_all(self, gradients: list) -> list:
        """Make gradients NaN under float16 where any replica's is not finite: either all replicas update or none."""
        if replicas.count() == 1 or not isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return gradients
        bad = [ops.any(ops.logical_not(ops.isfinite(g))) for g in gradients if g is not None]
        bad = replicas.total(ops.cast(ops.any(ops.stack(bad)), "float32"))
        return [None if g is None else g + ops.cast(ops.where(bad > 0, math.nan, 0.0), g.dtype) for g in gradients]

    def agree_on_averages(self) -> None:
        """Set BatchNorm's moving averages, which have moved by this replica's batch, to the mean over all replicas."""
        if replicas.count() == 1:
            return
        averages = [v for v in self.classifier.non_trainable_variables if v.name in MOVING_AVERAGES]
        together = replicas.mean(ops.concatenate([ops.reshape(v, (-1,)) for v in averages]))
        ends = list(itertools.accumulate(math.prod(v.shape) for v in averages))
        for variable, value in zip(averages, ops.split(together, ends[:-1]), strict=True):
            variable.assign(ops.reshape(value, variable.shape))

    def tracked(self, terms: dict) -> dict:
        """Return running means over the epoch of the losses of all replicas."""
        asked = [] if self.stop_here is None else [tf.convert_to_tensor(self.stop_here)]
        means = replicas.mean(ops.stack([*terms.values(), *asked]))
        if self.stop_anywhere is not None:
            self.stop_anywhere.assign(means[-1])
            means = means[:-1]
        trackers = {"loss": self.loss_tracker, **self.trackers}
        for name, value in zip(terms, ops.unstack(means), strict=True):
            trackers[name].update_state(value)
        return {name: trackers[name].result() for name in terms}

    def monitored(self, views: Batch, monitor: PseudoLabelMonitor) -> dict:
        """Return the state of the epoch's pseudo-labels after this batch; see `sesemi.training.monitor`."""
        report = views.report
        known = self.pixels is not None and views.index is not None
        truth = self.pixels.truth_of(views.index) if known else ops.full(report.labels.shape, -1, dtype="int32")
        monitor.update_state(*map(replicas.gather, (report.labels, report.mask, truth, report.given)))
        return monitor.result()

    def test_step(self, data):
        """Return the mean cross-entropy and the compiled metrics of images with labels."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        probs = self(images, training=False)
        loss = losses.cross_entropy(labels, ops.log(ops.maximum(probs, 1e-30)))
        # The last batch may be smaller, and each image counts alike.
        self.loss_tracker.update_state(loss, sample_weight=ops.cast(ops.shape(labels)[0], "float32"))
        compiled = self.compute_metrics(images, labels, probs)
        hidden = {*self.trackers, *(() if self.monitor is None else self.monitor.result())}
        return {k: v for k, v in compiled.items() if k not in hidden}

    @property
    def kernels(self):
        """Trained kernels of all conv and dense layers, the method's heads included."""
        return [variable for variable in self.trainable_variables if variable.name == "kernel"]

    def views(self, batch, draws: rng.Draws) -> Batch:
        """Return the views and labels that the method sees of a batch.

        Args:
            batch: ``step``, ``labeled`` and ``unlabeled`` images as raw pixels, and ``labels``.
            draws: Random numbers of the step.
        """

        unlabeled, index = batch["unlabeled"], batch.get("unlabeled_index")
        if self.regularize_labeled:
            unlabeled = ops.concatenate([unlabeled, batch["labeled"]])
            index = None if index is None else ops.concatenate([index, batch["labeled_index"]])

        self.method.check_batches(
            labeled=batch["labeled"].shape[0],
            unlabeled=batch["unlabeled"].shape[0],
            joint_forward=self.joint_forward,
            regularize_labeled=self.regularize_labeled,
        )

        def view(images, kind, name):
            return self.augmentation.view(kind, images, draws.at(name), self.classifier.preprocess)

        def views(images, kinds, name):
            return tuple(view(images, kind, f"{name}/{i}") for i, kind in enumerate(kinds))

        kinds = self.method.views
        return Batch(
            labeled=view(batch["labeled"], kinds.labeled, "labeled"),
            labels=batch["labels"],
            unlabeled=views(unlabeled, kinds.unlabeled, "unlabeled"),
            also_labeled=views(batch["labeled"], kinds.also_labeled, "labeled"),
            index=index,
            step=batch["step"],
            progress=ops.cast(batch["step"], "float32") / float(self.total_steps or 1),
            draws=draws.at("method"),
        )

    def networks(self, draws: rng.Draws) -> tuple[Network, Network | None]:
        """Return student and teacher as a method calls them."""
        student = Network(self.classifier, joint=self.joint_forward, draws=draws)
        return student, self.teacher and Network(self.teacher, training=False, joint=self.joint_forward, draws=draws)


def _refuse_labels(labels, classes: int, *, unlabeled: bool = False) -> None:
    """Refuse labels that are no class.

    Args:
        labels: ``[N]`` numbers.
        classes: Number of classes.
        unlabeled: True if -1, for an image without a label, may be among them.
    """
    if not hasattr(labels, "dtype") and not isinstance(labels, list | tuple):
        return
    labels = np.asarray(labels)
    wrong = (labels < (-1 if unlabeled else 0)) | (labels >= classes)
    if not wrong.any():
        return
    hidden = int((labels == -1).sum())
    if hidden and not unlabeled and (labels[labels != -1] < classes).all():
        problem = f"{hidden:,} of {labels.size:,} are -1, which is no label to compare with"
        raise InputError(problem, setting="labels", cure="give the labeled images alone: x[y >= 0], y[y >= 0]")
    least = "0 (or -1: unlabeled)" if unlabeled else "0"
    cure = f"they are numbers from {least} to {classes - 1}; num_classes of the classifier is {classes}"
    raise InputError("is no class", setting="labels", value=labels[wrong].flat[0], cure=cure)
