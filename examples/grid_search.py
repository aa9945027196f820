"""Choose a method by cross-validation, as scikit-learn does: ``python examples/grid_search.py``.

The package must be installed; in a checkout ``make demo`` has done so in ``.venv``.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sesemi import SemiSupervisedClassifier


def main() -> None:
    """Try the methods on digits with 100 labels, and print the score of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["supervised", "mean_teacher"], help="The methods to try.")
    parser.add_argument("--epochs", type=int, default=20, help="The number of epochs.")
    parser.add_argument("--steps-per-epoch", type=int, default=30, help="The number of updates in an epoch.")
    args = parser.parse_args()
    digits = load_digits()
    images = (digits.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    # Those with -1 are unlabeled. They help in training, and do not count in a score.
    labels = np.where(np.arange(len(images)) < 100, digits.target, -1)
    estimator = SemiSupervisedClassifier(network="mini", epochs=args.epochs, steps_per_epoch=args.steps_per_epoch)
    search = GridSearchCV(estimator, {"method": args.methods}, cv=2, error_score="raise")
    search.fit(images, labels)
    for method, score in zip(args.methods, search.cv_results_["mean_test_score"], strict=True):
        print(f"{method}: accuracy {score:.3f} on held-out labels")
    print(f"best: {search.best_params_['method']}, accuracy {search.score(images[100:], digits.target[100:]):.3f}")


if __name__ == "__main__":
    main()
