"""ReMixMatch: MixMatch with aligned guesses that strong views are anchored to, and a rotation head.

D. Berthelot et al., "ReMixMatch: Semi-Supervised Learning with Distribution Matching and Augmentation Anchoring", ICLR
2020, arXiv:1911.09785, Algorithm 1.
"""

import keras
from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, replicas, rotation, schedules
from sesemi.primitives.mixing import mix

WINDOW = 128


class ReMixMatch(Method):
    """Loss ``CE(x') + r(t) [w CE(q', p(u')) + w_1 CE(q, p(S_1(u)))] + w_r CE(k, rotations(R_k(S_1(u))))``.

    ``q = sharpen(normalize(p(A(u)) l / m), T)``, without gradient. l and m are the means of the labels and of p(A(u))
    over the last 128 batches. They are uniform at first and read before this batch enters (the authors' program).

    x' and u' are mixed images: the labeled ones, and the weak and the K strong views of the unlabeled ones with q.
    Partners are drawn from all of them. The ratio is ``max(l, 1 - l)``, ``l ~ Beta(a, a)``, one for each image. Each
    image of S_1(u) is turned by a random k x 90°. The guess and the turned images move no BatchNorm averages.

    There are two departures from the paper. Its strong augmentation CTAugment is not here, strong views are
    RandAugment's. Labeled images are augmented weakly (as in USB), in the paper strongly.

    Args:
        weight: Weight w of the mixed unlabeled images, 1.5 in the paper.
        anchor_weight: Weight w_1 of the first strong view, which is not mixed; 0.5 in the paper.
        four_way_weight: Weight w_r, 0.5 in the paper.
        strong_views: Number of strong views K, 8 in the paper, 2 in USB.
        temperature: Temperature T, 0.5 in the paper.
        mix_alpha: Parameter a, 0.75 in the paper.
        ema_decay: Decay of the teacher, which is only evaluated.
        ramp: Ramp r, ``linear`` in the authors' program, where rotations have none.
        ramp_up: Length of the ramp, as a part of the run; 1/64 in the authors' program.
    """

    terms = ("supervised", "consistency", "anchor", "rotations")
    evaluated = "teacher"
    gives_pseudo_labels = True
    ranges = {"strong_views": (1, 16)}

    def __init__(
        self,
        weight: float = 1.5,
        anchor_weight: float = 0.5,
        four_way_weight: float = 0.5,
        strong_views: int = 2,
        temperature: float = 0.5,
        mix_alpha: float = 0.75,
        ema_decay: float = 0.999,
        ramp: str = "linear",
        ramp_up: float = 1 / 64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.anchor_weight, self.four_way_weight = weight, anchor_weight, four_way_weight
        self.strong_views, self.temperature, self.mix_alpha = strong_views, temperature, mix_alpha
        self.ema_decay, self.ramp, self.ramp_up = ema_decay, ramp, ramp_up

    @property
    def views(self):
        """Views of the unlabeled images: one weak and K strong ones."""
        return Views(labeled="weak", unlabeled=("weak", *["strong"] * self.strong_views))

    def images_per_step(self, *, labeled, unlabeled):
        """Return the number of images: those for the guess, the mixed ones, the anchors and the turned ones."""
        return labeled + unlabeled * (self.strong_views + 4)

    def build(self, sizes):
        """Create the rotation head and the two windows."""
        self.four_way = keras.layers.Dense(4, dtype="float32", name="rotations_head")
        self.four_way.build((None, sizes.features))
        for name in ("labels_seen", "guesses_seen"):
            setattr(self, name, self.running_average(name, (WINDOW, sizes.classes), 1.0 / sizes.classes))
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropies of the mixed labeled, the mixed unlabeled, the anchored and the turned images."""
        weak, *strong = batch.unlabeled
        probs = ops.stop_gradient(losses.softmax(student(weak, moves_averages=False)))
        labels = ops.one_hot(batch.labels, probs.shape[-1])
        guess = self.guess(probs, labels, batch.step)
        batch.report.pseudo_labels(ops.argmax(guess, axis=-1))
        images, targets = self.mixed(
            ops.concatenate([batch.labeled, weak, *strong]),
            ops.concatenate([labels, *[guess] * len(batch.unlabeled)]),
            batch.draws,
        )
        labeled, sides = batch.labeled.shape[0], batch.draws.integers("rotation", (weak.shape[0],), 0, 3)
        features = student.features(images[:labeled], images[labeled:], strong[0])
        logits, logits_u, logits_1 = map(student.logits, features)
        features_r = student.features(rotation.turned(strong[0], sides), moves_averages=False)
        ramp = schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": losses.soft_cross_entropy(targets[:labeled], logits),
            "consistency": ramp * self.weight * losses.soft_cross_entropy(targets[labeled:], logits_u),
            "anchor": ramp * self.anchor_weight * losses.soft_cross_entropy(guess, logits_1),
            "rotations": self.four_way_weight * losses.cross_entropy(sides, self.four_way(features_r)),
        }

    def guess(self, probs, labels, step):
        """Return q, ``[U, C]``, and put this batch into the windows in place of the oldest."""
        seen, guessed = (1e-6 + ops.mean(window, axis=0) for window in (self.labels_seen, self.guesses_seen))
        aligned = probs * seen / guessed
        guess = losses.sharpen(aligned / ops.sum(aligned, axis=-1, keepdims=True), self.temperature)
        place = ops.cast(ops.arange(WINDOW) == ops.cast(step % WINDOW, "int32"), "float32")[:, None]
        for window, rows in ((self.labels_seen, labels), (self.guesses_seen, probs)):
            window.assign(place * replicas.mean(ops.mean(rows, axis=0)) + (1.0 - place) * window)
        return guess

    def mixed(self, images, targets, draws):
        """Mix each image and target with those of a partner."""
        order = draws.permutation("partner", images.shape[0])
        ratio = draws.beta("ratio", (images.shape[0],), self.mix_alpha)
        ratio = ops.maximum(ratio, 1.0 - ratio)
        return tuple(mix(rows, ops.take(rows, order, axis=0), ratio) for rows in (images, targets))
