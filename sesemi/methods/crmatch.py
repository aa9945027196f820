"""CRMatch: FixMatch whose features keep apart what augmentation changes, with a head that tells rotations.

Y. Fan, A. Kukleva and B. Schiele, "Revisiting Consistency Regularization for Semi-Supervised Learning", GCPR 2021,
arXiv:2112.05825.
"""

import keras
from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, rotation


class CRMatch(Method):
    """FixMatch with two more losses: features of two views must differ, and rotations are told.

    ``L_FixMatch + w_d 1/N sum_i m_i max(0, cos(d(S(u_i)), d(A(u_i)))) + w_r CE(k, r(R_k(u)))``.

    m is FixMatch's mask. d is a linear layer, as wide as the features, on the flattened feature map. Views that are
    classified alike need not look alike there (a cosine-embedding loss with target -1). Its gradient flows through both
    views. r is a head of two layers on the averaged features of the four rotations (Gidaris et al. 2018) of another
    weak view. It takes as many unlabeled images as the step has labeled ones, or all if they are fewer. The rotations
    move no BatchNorm averages.

    Args:
        weight: Weight w of the pseudo-label loss in ``L_FixMatch``, 1 in USB.
        threshold: Threshold of the confidence, 0.95 in USB.
        distance_weight: Weight w_d, 1 in USB.
        four_way_weight: Weight w_r, 1 in USB.
        ema_decay: Decay of the teacher, which is only evaluated.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong", "weak"))
    terms = ("supervised", "pseudo", "distance", "rotations")
    evaluated = "teacher"
    gives_pseudo_labels = True

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.95,
        distance_weight: float = 1.0,
        four_way_weight: float = 1.0,
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.ema_decay = weight, threshold, ema_decay
        self.distance_weight, self.four_way_weight = distance_weight, four_way_weight

    def images_per_step(self, *, labeled, unlabeled):
        """Return the number of images: two views, and four rotations of as many images as are labeled."""
        return labeled + 2 * unlabeled + 4 * min(labeled, unlabeled)

    def build(self, sizes):
        """Create d and r."""
        self.projector = keras.layers.Dense(sizes.features, name="projector")
        self.projector.build((None, sizes.values))
        self.hidden = keras.layers.Dense(sizes.features, activation="relu", name="rotations_hidden")
        self.four_way = keras.layers.Dense(4, dtype="float32", name="rotations_head")
        for layer in (self.hidden, self.four_way):
            layer.build((None, sizes.features))
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return FixMatch's terms, the distance of features, and the loss of the rotations."""
        weak, strong, other = batch.unlabeled
        count = min(batch.labeled.shape[0], other.shape[0])
        turned = rotation.four_views(other[:count])
        map_l, map_w, map_s = student.maps(batch.labeled, weak, strong)
        features_r = student.features(turned, moves_averages=False)
        logits, logits_w, logits_s = (student.logits(averaged(m)) for m in (map_l, map_w, map_s))
        probs = ops.stop_gradient(losses.softmax(logits_w))
        pseudo_labels, mask = ops.argmax(probs, axis=-1), ops.max(probs, axis=-1) >= self.threshold
        batch.report.pseudo_labels(pseudo_labels, mask)
        places = [self.projector(ops.reshape(m, (m.shape[0], -1))) for m in (map_s, map_w)]
        distance = ops.mean(ops.cast(mask, "float32") * ops.maximum(cosine(*places), 0.0))
        rotations = losses.cross_entropy(rotation.four_labels(count), self.four_way(self.hidden(features_r)))
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, logits_s, mask),
            "distance": self.distance_weight * distance,
            "rotations": self.four_way_weight * rotations,
        }


def averaged(maps):
    """Return features ``[B, F]`` of feature maps ``[B, h, w, F]``."""
    return ops.mean(maps, axis=(1, 2))


def cosine(a, b):
    """Return the cosines of the angles between the rows of two ``[B, D]``, as ``[B]`` float32."""
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    norms = ops.sum(ops.square(a), axis=-1) * ops.sum(ops.square(b), axis=-1)
    return ops.sum(a * b, axis=-1) / ops.sqrt(ops.maximum(norms, 1e-12))
