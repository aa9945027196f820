"""Write a method of your own: ``python examples/custom_method.py``.

The method is entropy minimization (Grandvalet and Bengio 2004): the network should be sure of every unlabeled image.
The package must be installed; in a checkout ``make demo`` has done so in ``.venv``.
"""

import argparse

import keras
import numpy as np
from keras import ops

from sesemi import Classifier, DevicePixels, SemiSupervisedModel, datasets, index_batches, models
from sesemi.methods.base import Method, Views
from sesemi.primitives import losses


class EntropyMinimization(Method):
    """``L = CE(y, p(x)) + w 1/N sum_i H(p(u_i))``, H the entropy of a prediction.

    Args:
        weight: w.
    """

    views = Views(labeled="weak", unlabeled=("weak",))
    terms = ("supervised", "entropy")

    def __init__(self, weight: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of the labels and the entropy of the unlabeled predictions."""
        logits, logits_u = student.together(batch.labeled, *batch.unlabeled)
        probs = losses.softmax(logits_u)
        entropy = -ops.mean(ops.sum(probs * ops.log_softmax(logits_u), axis=-1))
        return {"supervised": losses.cross_entropy(batch.labels, logits), "entropy": self.weight * entropy}


def main() -> None:
    """Train it on digits with 50 labels, and print the test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, help="The number of epochs.")
    parser.add_argument("--steps-per-epoch", type=int, default=30, help="The number of updates in an epoch.")
    args = parser.parse_args()
    digits = datasets.load("digits")
    labeled, unlabeled = np.arange(50), np.arange(len(digits.train_images))
    labels = np.where(unlabeled < 50, digits.train_labels, -1)
    keras.utils.set_random_seed(0)
    classifier = Classifier(models.build("mini", digits.train_images.shape[1:]), num_classes=10)
    model = SemiSupervisedModel(classifier, EntropyMinimization(), pixels=DevicePixels(digits.train_images, labels))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), metrics=["accuracy"])
    steps = args.epochs * args.steps_per_epoch
    batches = index_batches(labeled, unlabeled, labeled_batch_size=32, batch_size=32, seed=0, stop=steps)
    model.fit(batches, epochs=args.epochs, steps_per_epoch=args.steps_per_epoch, shuffle=False, verbose=2)
    accuracy = model.evaluate(digits.test_images, digits.test_labels, verbose=0, return_dict=True)["accuracy"]
    print(f"test accuracy: {accuracy:.3f}")


if __name__ == "__main__":
    main()
