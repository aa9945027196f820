"""Self-Tuning: contrast images with all of their pseudo-class at once, so that no single wrong label rules.

X. Wang et al., "Self-Tuning for Data-Efficient Deep Learning", ICML 2021, arXiv:2102.12903.
"""

import keras
from keras import ops

from sesemi.errors import InputError
from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory, replicas, schedules


class SelfTuning(Method):
    """Loss ``CE(y, p(x)) + w [PGC(x, y) + PGC(u, argmax p(u))]`` (pseudo-group contrast).

    A query is the projected and normalized features of one strong view. It meets the key of another strong view, made
    by the running average of the weights, and the keys of the last K images of every class. With similarities divided
    by T, ``PGC = KL(1/(K + 1) on its own key and the K keys of its class || softmax over all 1 + K C)``. Places of the
    queues that no image has filled yet do not take part. The running average normalizes by the batch. All queries meet
    the queues as they were before the batch. Then the labeled keys enter them and, by their pseudo-labels, the
    unlabeled ones. Keys carry no gradient.

    Args:
        weight: Weight w of both contrasts, 1 in the paper.
        temperature: Temperature T, 0.07 in the paper.
        queue: Length K of a queue, 32 in the paper; memory is K x C x projection.
        projection: Length of the projected features, 1,024 in the paper.
        ema_decay: Decay of the running average, 0.999 in the paper.
    """

    views = Views(labeled="strong", unlabeled=("strong", "strong"), also_labeled=("strong",))
    terms = ("supervised", "contrast_labeled", "contrast")
    gives_pseudo_labels = True
    ranges = {"queue": (1, 10**5), "projection": (1, 10**5)}

    def __init__(
        self,
        weight: float = 1.0,
        temperature: float = 0.07,
        queue: int = 32,
        projection: int = 1024,
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.temperature, self.queue, self.projection = weight, temperature, queue, projection
        self.ema_decay = ema_decay

    def check_batches(self, *, labeled, unlabeled, joint_forward, regularize_labeled):
        """Refuse labeled images among the unlabeled ones of a step: they would enter the queues twice."""
        if regularize_labeled:
            raise InputError(
                "self_tuning contrasts the labeled images anyway", setting="regularize_labeled", cure="leave it out"
            )

    def build(self, sizes):
        """Create the projection, its running average, and the queues."""
        self.projector = keras.layers.Dense(self.projection, name="projector")
        self.key_projector = keras.layers.Dense(self.projection, name="key_projector", trainable=False)
        for layer in (self.projector, self.key_projector):
            layer.build((None, sizes.features))
        self.classes = sizes.classes
        self.keys = self.running_average("keys", (sizes.classes * self.queue, self.projection), 0.0)
        self.entered = self.running_average("entered", (sizes.classes,), 0.0)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels, and the contrasts of labeled and of unlabeled images."""
        (key_view,), (view_u, key_view_u) = batch.also_labeled, batch.unlabeled
        features, features_u = student.features(batch.labeled, view_u)
        logits, logits_u = student.logits(features), student.logits(features_u)
        pseudo_labels = ops.cast(ops.argmax(logits_u, axis=-1), "int32")
        batch.report.pseudo_labels(pseudo_labels)
        keys, keys_u = self.keys_of(teacher.features(key_view, key_view_u, training=True), batch.step)
        queries, queries_u = unit(self.projector(features)), unit(self.projector(features_u))
        labels = ops.cast(batch.labels, "int32")
        labeled = self.contrast(queries, keys, labels)
        unlabeled = self.contrast(queries_u, keys_u, pseudo_labels)
        everyone = [replicas.gather(rows) for rows in (keys, keys_u, labels, pseudo_labels)]
        self.enter(ops.concatenate(everyone[:2]), ops.concatenate(everyone[2:]))
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "contrast_labeled": self.weight * labeled,
            "contrast": self.weight * unlabeled,
        }

    def keys_of(self, features, step):
        """Move the key projection as far as the teacher has moved, and return the keys of both batches, ``[B, D]``."""
        decay = schedules.ema_decay(step, self.ema_decay)
        for average, value in zip(self.key_projector.weights, self.projector.weights, strict=True):
            memory.move(average, value, decay)
        return tuple(ops.stop_gradient(unit(self.key_projector(f))) for f in features)

    def contrast(self, queries, keys, labels):
        """Return PGC, the mean over the batch."""
        own = ops.sum(queries * keys, axis=-1, keepdims=True)
        others = queries @ ops.transpose(self.keys)
        places = ops.arange(self.classes * self.queue)
        filled = ops.cast(places % self.queue, "float32") < ops.repeat(self.entered, self.queue)
        same = ops.logical_and(places[None, :] // self.queue == labels[:, None], filled[None, :])
        similar = ops.concatenate([own, ops.where(filled[None, :], others, -1e4)], axis=-1) / self.temperature
        group = ops.concatenate([ops.ones_like(own), ops.cast(same, "float32")], axis=-1)
        return losses.kl_divergence(group / ops.sum(group, axis=-1, keepdims=True), similar)

    def enter(self, keys, labels):
        """Put keys into the queue of their class in the order of the batch; the oldest ones leave first."""
        one_hot = ops.one_hot(labels, self.classes)
        rank = ops.sum((ops.cumsum(one_hot, axis=0) - 1.0) * one_hot, axis=-1)
        number = ops.take(self.entered, labels) + rank
        place = labels * self.queue + ops.cast(number, "int32") % self.queue
        memory.put(self.keys, place, keys)
        # The count must not grow without limit; taking off whole queues keeps the places and the filled part.
        entered = self.entered + ops.sum(one_hot, axis=0)
        self.entered.assign(ops.where(entered >= 2 * self.queue, entered % self.queue + self.queue, entered))


def unit(rows):
    """Return rows ``[B, D]`` float32 of length 1."""
    rows = ops.cast(rows, "float32")
    return rows / ops.sqrt(ops.maximum(ops.sum(ops.square(rows), axis=-1, keepdims=True), 1e-12))
