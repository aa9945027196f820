"""Pseudo-labels of the last epoch under MixUp (eMixPL of the "Tricks" project; Arazo et al. 2019, arXiv:1908.02983)."""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory, schedules
from sesemi.primitives.mixing import mix


class MixPseudoLabel(Method):
    """Loss ``CE(y, p(x)) + w(t) 1/N sum_i CE(l q_i + (1 - l) q_j, p(l u_i + (1 - l) u_j))``, ``l ~ Beta(a, a)``.

    q is the network's answer to the unmixed image when it was last seen, an epoch ago. A further pass over the unmixed
    images, without gradient and moving no BatchNorm averages, refreshes it. Pairs with an image that was never seen do
    not count.

    Args:
        weight: Weight w. The "Tricks" project has 1 for hard targets and 30 for soft ones; we have not seen the need of
            30.
        hard: True takes the most probable class as q, False the probabilities themselves.
        mix_alpha: Parameter a, 1 in the "Tricks" project.
        ramp: Ramp of the weight, ``sigmoid`` in the "Tricks" project.
        ramp_up: Length of the ramp, as a part of the run: 30 of 400 epochs in the "Tricks" project.
    """

    views = Views(labeled="weak", unlabeled=("weak",))
    remembers_images = True
    terms = ("supervised", "pseudo")
    gives_pseudo_labels = True

    def __init__(
        self,
        weight: float = 1.0,
        hard: bool = False,
        mix_alpha: float = 1.0,
        ramp: str = "sigmoid",
        ramp_up: float = 0.075,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.hard, self.mix_alpha, self.ramp, self.ramp_up = weight, hard, mix_alpha, ramp, ramp_up

    def build(self, sizes):
        """Create the table of the last outputs."""
        self.outputs = self.table(sizes, "outputs", sizes.classes)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of mixed pseudo-labels."""
        (images,) = batch.unlabeled
        count = images.shape[0]
        probs = memory.read(self.outputs, batch.index)
        known = ops.cast(ops.max(probs, axis=-1) > 0.0, "float32")
        batch.report.pseudo_labels(ops.argmax(probs, axis=-1), known, given=known)
        pseudo_labels = ops.one_hot(ops.argmax(probs, axis=-1), probs.shape[-1]) if self.hard else probs
        order = batch.draws.permutation("partner", count)
        ratio = batch.draws.beta("ratio", (count,), self.mix_alpha)
        targets = mix(pseudo_labels, ops.take(pseudo_labels, order, axis=0), ratio)
        mixed = mix(images, ops.take(images, order, axis=0), ratio)
        logits, logits_u = student.together(batch.labeled, mixed)
        memory.write(self.outputs, batch.index, losses.softmax(student(images, moves_averages=False)))
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": weight * losses.soft_cross_entropy(targets, logits_u, known * ops.take(known, order, axis=0)),
        }
