"""SESEMI: a second head on the shared trunk tells which of six transforms an image went through.

P. V. Tran, "Exploring Self-Supervised Regularization for Supervised and Semi-Supervised Learning", 2019,
arXiv:1906.10343.
"""

import keras

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, rotation


class SESEMI(Method):
    """Loss ``CE(y, p(x)) + w CE(k, p_self(G_k(u)))``, both means; G_0 … G_5 rotate and mirror (Tran 2019, §3).

    All six transforms are taken of the same shifted and noisy image. That image is never mirrored beforehand, because
    mirroring is one of the classes. The labeled and the self-supervised batch go through the trunk together if the run
    asks for a joint forward, else one after the other, as in the published program. Both move BatchNorm's averages.

    Args:
        rotation_weight: Weight w, constant; 1 in the paper.
    """

    views = Views(labeled="weak", unlabeled=("unflipped",))
    terms = ("supervised", "rotation")
    views_counted = len(rotation.TRANSFORMS)

    def __init__(self, rotation_weight: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.rotation_weight = rotation_weight
        self.head = keras.layers.Dense(len(rotation.TRANSFORMS), dtype="float32", name="rotation_head")

    def build(self, sizes):
        """Create the six-way head (Glorot-uniform, with bias)."""
        self.head.build((None, sizes.features))
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the supervised and the six-way cross-entropy."""
        (images,) = batch.unlabeled
        six, transforms = rotation.six_views(images), rotation.six_labels(images.shape[0])
        features, features_r = student.features(batch.labeled, six)
        return {
            "supervised": losses.cross_entropy(batch.labels, student.logits(features)),
            "rotation": self.rotation_weight * losses.cross_entropy(transforms, self.head(features_r)),
        }
