"""Six-way head of SESEMI on any other method (``--self-supervision rotation``)."""

import dataclasses

import keras

from sesemi.methods.base import Method
from sesemi.methods.sesemi import SESEMI
from sesemi.primitives import losses, rotation

_TAKEN_OVER = ("unlabeled_pool", "ema_decay", "evaluated", "remembers_images", "gives_pseudo_labels", "students")


class WithRotation(Method):
    """Loss ``L_method + w CE(k, p_self(G_k(u)))`` (Tran 2019, arXiv:1906.10343; Gidaris et al. have four rotations).

    Its trunk call is normalized by its own batch and moves no BatchNorm averages. So the averages of the method stay
    those of upright images.

    Args:
        method: Method that the head is added to.
        rotation_weight: Weight w, constant.
    """

    def __init__(self, method: Method, rotation_weight: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.method, self.rotation_weight = method, rotation_weight
        self.views = dataclasses.replace(method.views, unlabeled=(*method.views.unlabeled, "unflipped"))
        self.terms = (*method.terms, "rotation")
        for name in _TAKEN_OVER:
            setattr(self, name, getattr(method, name))
        self.head = keras.layers.Dense(len(rotation.TRANSFORMS), dtype="float32", name="rotation_head")

    def images_per_step(self, *, labeled, unlabeled):
        """Return the number of the method's images and of six views of each unlabeled image."""
        own = self.method.images_per_step(labeled=labeled, unlabeled=unlabeled)
        return own + len(rotation.TRANSFORMS) * unlabeled

    def check(self):
        """Refuse bad arguments of the method or of the head."""
        self.method.check()
        SESEMI(self.rotation_weight).check()

    def check_batches(self, **sizes):
        """Refuse what the method refuses."""
        self.method.check_batches(**sizes)

    def build(self, sizes):
        """Build the method and the head."""
        self.method.build(sizes)
        self.head.build((None, sizes.features))
        self.built = True

    def next_student(self, probs):
        """Pass the answers of the finished student on to the method."""
        self.method.next_student(probs)

    def loss_terms(self, batch, student, teacher):
        """Return the method's terms and the six-way cross-entropy."""
        *own, images = batch.unlabeled
        terms = self.method.loss_terms(dataclasses.replace(batch, unlabeled=tuple(own)), student, teacher)
        features = student.features(rotation.six_views(images), moves_averages=False)
        six_way = losses.cross_entropy(rotation.six_labels(images.shape[0]), self.head(features))
        return {**terms, "rotation": self.rotation_weight * six_way}
