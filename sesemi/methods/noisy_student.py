"""Noisy Student: a teacher labels all images, a new student learns them under noise, and becomes the teacher.

Q. Xie et al., "Self-training with Noisy Student improves ImageNet classification", CVPR 2020, arXiv:1911.04252,
Algorithm 1.
"""

import numpy as np
from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory


class NoisyStudent(Method):
    """Loss ``CE(y, p(x)) + w 1/N sum_i v_i CE(softmax(z'_i / T), softmax(z(S(u_i)) / T))``.

    z' are the logits of the teacher. The run is cut into ``1 + rounds`` equal parts, each with the whole learning-rate
    schedule. In the first one a student learns from labels alone. Before each of the others, the finished student
    classifies every training image, without noise (`next_student`). A new one with other first weights then takes its
    place (`NewStudents`). The noise is RandAugment on the unlabeled images, and dropout. Labeled images are augmented
    weakly, as in TLlib; in the paper they are under noise too.

    Args:
        rounds: Number of students that learn from a teacher, 3 in the paper.
        weight: Weight w.
        temperature: Temperature T of both sides; 2 in TLlib (the gradient scales with 1/T), 1 in the paper.
        threshold: Least confidence of the teacher; v is 0 below it. With 0 all images count, as in TLlib; 0.3 in the
            paper.
        balanced: True makes every class weigh the same, by ``v = N / (C n_c)`` over the images that count, without an
            upper limit (the paper repeats images of rare classes and leaves out some of frequent ones).
    """

    views = Views(labeled="weak", unlabeled=("strong",))
    terms = ("supervised", "pseudo")
    remembers_images = True
    gives_pseudo_labels = True
    ranges = {"rounds": (1, 100)}

    def __init__(
        self,
        rounds: int = 3,
        weight: float = 1.0,
        temperature: float = 1.0,
        threshold: float = 0.0,
        balanced: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rounds, self.weight, self.temperature = rounds, weight, temperature
        self.threshold, self.balanced = threshold, balanced

    @property
    def students(self):
        """Number of students: the first teacher, and one in each round."""
        return 1 + self.rounds

    def build(self, sizes):
        """Create the tables of the teacher's probabilities and of v."""
        self.said = self.table(sizes, "said", sizes.classes)
        self.counts = self.table(sizes, "counts", 1)
        self.built = True

    def next_student(self, probs):
        """Write the tables."""
        given = probs.argmax(axis=1)
        counts = (probs.max(axis=1) >= self.threshold).astype(np.float32)
        if self.balanced:
            of_class = np.bincount(given, weights=counts, minlength=probs.shape[1])
            counts *= counts.sum() / (probs.shape[1] * np.maximum(of_class, 1))[given]
        self.said.assign(probs)
        self.counts.assign(counts[:, None])

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of the teacher's answers, 0 while there is no teacher."""
        logits, logits_s = student.together(batch.labeled, *batch.unlabeled)
        said, counts = memory.read(self.said, batch.index), memory.read(self.counts, batch.index)[:, 0]
        batch.report.pseudo_labels(ops.argmax(said, axis=-1), counts > 0, given=ops.max(said, axis=-1) > 0)
        targets = losses.sharpen(said, self.temperature)
        answer = ops.cast(logits_s, "float32") / self.temperature
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.soft_cross_entropy(targets, answer, counts),
        }
