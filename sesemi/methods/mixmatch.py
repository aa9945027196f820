"""MixMatch: guess labels from several views, sharpen them, and mix everything with everything.

D. Berthelot et al., "MixMatch: A Holistic Approach to Semi-Supervised Learning", NeurIPS 2019, arXiv:1905.02249,
Algorithm 1 and equations 2-7.
"""

from keras import ops

from sesemi.errors import InputError
from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, schedules
from sesemi.primitives.mixing import interleave, mix


class MixMatch(Method):
    """Loss ``CE(q_x, p(x')) + w(t) 1/(N C) sum ||p(u') - q_u||^2`` over images mixed across the union.

    ``q = sharpen(mean_k p(u_k), T)`` by the student without gradient, the same for all K views of an image.
    ``W = shuffle(x, u_1 … u_K)``. Every image is mixed with its partner in W by ``l' = max(l, 1 - l)``,
    ``l ~ Beta(a, a)``, so that a row stays nearer to itself than to its partner.

    BatchNorm: with a joint forward all mixed images go through the network at once. Without it, they go in 1 + K
    interleaved batches, and the first of these moves the averages (the authors' program). Then labeled and unlabeled
    batch must be of one size, and so the labeled images cannot be among the unlabeled ones. The guesses move no
    averages.

    Args:
        weight: Weight w of the mean over all elements: 75 for CIFAR-10 (paper, §4.2.1), 250 for SVHN.
        guesses: Number of views K, 2 in the paper.
        temperature: Temperature T, 0.5 in the paper.
        mix_alpha: Parameter a, 0.75 in the paper.
        mix_per: ``image`` draws one ratio for every image (the authors' program), ``batch`` one for the batch.
        ema_decay: Decay of the teacher, which is only evaluated; 0.999 in the paper.
        ramp: Ramp of the weight, ``linear`` in the paper.
        ramp_up: Length of the ramp, as a part of the run. The authors' ramp takes 16,000 updates. In a much shorter run
            keep the slope instead, by a smaller weight and ``ramp_up=1``: 3,600 updates on CIFAR-10 with 0.16
            collapsed.
    """

    terms = ("supervised", "consistency")
    evaluated = "teacher"
    gives_pseudo_labels = True
    ranges = {"guesses": (1, 16)}
    choices = {"mix_per": ("image", "batch")}

    def __init__(
        self,
        weight: float = 75.0,
        guesses: int = 2,
        temperature: float = 0.5,
        mix_alpha: float = 0.75,
        mix_per: str = "image",
        ema_decay: float = 0.999,
        ramp: str = "linear",
        ramp_up: float = 0.16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.guesses, self.temperature = weight, guesses, temperature
        self.mix_alpha, self.mix_per, self.ema_decay = mix_alpha, mix_per, ema_decay
        self.ramp, self.ramp_up = ramp, ramp_up

    def check_batches(self, *, labeled, unlabeled, joint_forward, regularize_labeled):
        """Refuse batches that cannot be interleaved."""
        unlabeled += labeled * regularize_labeled
        if not joint_forward and labeled != unlabeled:
            raise InputError(
                (
                    f"mixmatch then interleaves batches of one size, got {labeled} labeled and {unlabeled} "
                    "unlabeled images"
                ),
                setting="joint_forward",
                value=False,
                cure="give equal sizes, or `joint_forward=True`",
            )

    @property
    def views(self):
        """Weak views: K of the unlabeled images, one of the labeled."""
        return Views(labeled="weak", unlabeled=("weak",) * self.guesses)

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of the mixed labeled and the squared error of the mixed unlabeled images."""
        says = [losses.softmax(student(view, moves_averages=False)) for view in batch.unlabeled]
        guess = ops.stop_gradient(losses.sharpen(sum(says) / len(says), self.temperature))
        batch.report.pseudo_labels(ops.argmax(guess, axis=-1))
        images = ops.concatenate([batch.labeled, *batch.unlabeled])
        targets = ops.concatenate([ops.one_hot(batch.labels, guess.shape[-1]), *[guess] * len(says)])
        count, labeled = images.shape[0], batch.labeled.shape[0]
        order = batch.draws.permutation("partner", count)
        ratio = batch.draws.beta("ratio", (count if self.mix_per == "image" else 1,), self.mix_alpha)
        ratio = ops.maximum(ratio, 1.0 - ratio)
        images = mix(images, ops.take(images, order, axis=0), ratio)
        targets = mix(targets, ops.take(targets, order, axis=0), ratio)
        logits, logits_u = self.predict(images, labeled, student)
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": losses.soft_cross_entropy(targets[:labeled], logits),
            "consistency": weight * losses.mse(targets[labeled:], losses.softmax(logits_u)),
        }

    def predict(self, images, labeled: int, student):
        """Return logits of the first `labeled` images and of the others."""
        if student.joint:
            logits = student(images)
            return logits[:labeled], logits[labeled:]
        sizes = [labeled] + [(images.shape[0] - labeled) // self.guesses] * self.guesses
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        batches = interleave([images[start : start + size] for start, size in zip(starts, sizes, strict=True)])
        logits = interleave([student(part, moves_averages=not i) for i, part in enumerate(batches)])
        return logits[0], ops.concatenate(logits[1:])
