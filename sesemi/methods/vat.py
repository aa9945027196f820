"""VAT: the prediction should not change in the direction in which it changes most.

T. Miyato et al., "Virtual Adversarial Training", 2017, arXiv:1704.03976, Algorithm 1.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import autodiff, losses, schedules


class VAT(Method):
    """Cross-entropy of labels and the change of the prediction under the worst small perturbation.

    ``L = CE(y, p(x)) + w D(sg p(u), p(u + r)) + w_H H(p(u))``, ``r = eps g / ||g||``, g the gradient of D at xi d.

    d starts as a random unit direction and is replaced by ``g / ||g||`` in every power iteration. The perturbed passes
    keep the dropout masks of the clean one: D is then 0 at r = 0, which the second-order argument of the paper needs.
    They move no BatchNorm averages. An image without gradient gets no perturbation. Under bfloat16 the direction is
    found by a network that computes in bfloat16 too: use float32 where that matters.

    Args:
        weight: Weight w, 1 in the paper.
        epsilon: Norm of the perturbation of an image. Our images have norm 55 (after GCN), so 8, which the paper takes
            for CIFAR-10, is about a seventh of it.
        xi: Norm of the probe. Published values of 1e-6 lose the direction in float32; 1 is a fiftieth of an image.
        power_iterations: Number of power iterations, 1 in the paper.
        distance: Distance D. ``kl`` is ``KL(p(u) || p(u + r))``, the paper's, summed over classes. ``mse`` is the mean
            over all elements (the "Tricks" project, with a weight of 30).
        entropy_weight: Weight w_H. With 0 there is no such term; 1 is the paper's VAT + EntMin.
        ramp: Ramp of w; the paper has none.
        ramp_up: Length of the ramp, as a part of the run.
    """

    views = Views(labeled="weak", unlabeled=("weak",))
    ranges = {"xi": (1e-4, 1e3), "power_iterations": (1, 20)}
    choices = {"distance": ("kl", "mse")}

    def __init__(
        self,
        weight: float = 1.0,
        epsilon: float = 8.0,
        xi: float = 1.0,
        power_iterations: int = 1,
        distance: str = "kl",
        entropy_weight: float = 0.0,
        ramp: str = "none",
        ramp_up: float = 0.4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.epsilon, self.xi, self.power_iterations = weight, epsilon, xi, power_iterations
        self.distance, self.entropy_weight, self.ramp, self.ramp_up = distance, entropy_weight, ramp, ramp_up
        self.terms = ("supervised", "adversarial", *(("entropy",) if entropy_weight else ()))

    def loss_terms(self, batch, student, teacher):
        """Return the supervised cross-entropy, the local distributional smoothness, and the entropy."""
        (images,) = batch.unlabeled
        logits, clean = student.together(batch.labeled, images)
        target = ops.stop_gradient(losses.softmax(clean))

        def change(perturbation):
            _, perturbed = student.together(batch.labeled, images + perturbation, same_masks=True, moves_averages=False)
            if self.distance == "kl":
                return losses.kl_divergence(target, perturbed)
            return losses.mse(target, losses.softmax(perturbed))

        direction = unit(batch.draws.normal("direction", images.shape))
        for _ in range(self.power_iterations):
            direction = unit(autodiff.input_gradient(change, self.xi * direction))
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        terms = {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "adversarial": weight * change(self.epsilon * direction),
        }
        if self.entropy_weight:
            terms["entropy"] = self.entropy_weight * losses.entropy(clean)
        return terms


def unit(directions):
    """Divide each ``[H, W, C]`` of ``[B, H, W, C]`` by its norm; zeros stay zeros.

    It is divided by its largest element first, because squares of small gradients underflow.
    """
    axes = (1, 2, 3)
    largest = ops.max(ops.abs(directions), axis=axes, keepdims=True)
    scaled = directions / ops.where(largest > 0, largest, 1.0)
    norm = ops.sqrt(ops.sum(ops.square(scaled), axis=axes, keepdims=True))
    return scaled / ops.where(norm > 0, norm, 1.0)
