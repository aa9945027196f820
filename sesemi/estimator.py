"""`SemiSupervisedClassifier`: any method as a scikit-learn estimator."""

import contextlib
import random
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sesemi import assembly, callbacks, evaluate, export, splits
from sesemi import config as config_module

UNLABELED = -1
# What the images and labels of `fit` say, what an argument of its own says, and what belongs to runs in folders.
_NOT_HERE = frozenset(
    "dataset data_dir labels labels_per_class labels_from labels_file strict image_size resize extra extra_source "
    "memory_limit method network epochs steps_per_epoch arguments seed promote promote_threshold promote_fraction "
    "promote_from promote_every validation views gpu replicas_cpu workers worker sync_batch_norm output name "
    "tensorboard quiet".split()
)


class SemiSupervisedClassifier(ClassifierMixin, BaseEstimator):
    """Image classification from few labels, as `sklearn.semi_supervised` has it: ``y == -1`` is unlabeled.

    Args:
        method: a key of `sesemi.METHODS`.
        network: a trunk, such as ``mini`` or ``wrn``.
        epochs: number of epochs.
        steps_per_epoch: updates an epoch.
        arguments: hyper-parameters of the method, as ``--set`` has them, such as ``{"weight": 10}``.
        settings: any other setting of `sesemi.RunConfig` that says how to train, such as ``{"flip": True}``; what is
            not said is the default of ``--dataset folder``, but images are not mirrored.
        random_state: seed of weights, order and views; None draws one.
        verbose: 1 prints losses after every epoch.

    Attributes:
        classes_: ``[C]``, sorted.
        model_: the trained classifier as a plain Keras model, from uint8 pixels to probabilities.
        config_: the `sesemi.RunConfig` of the training.

    Example:
        >>> classifier = SemiSupervisedClassifier(method="mean_teacher", network="mini").fit(images, labels)
        >>> classifier.predict(images[:3])
    """

    def __init__(
        self,
        method: str = "sesemi",
        network: str = "mini",
        epochs: int = 30,
        steps_per_epoch: int = 62,
        arguments: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        random_state=0,
        verbose: int = 0,
    ):
        self.method, self.network = method, network
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.arguments, self.settings = arguments, settings
        self.random_state, self.verbose = random_state, verbose

    def fit(self, X, y):  # noqa: N803
        """Train.

        Args:
            X: ``[N, H, W, C]``, whole numbers in 0 … 255, uint8 best; square where the method rotates.
            y: ``[N]``: the class of each image, or -1.

        Raises:
            ValueError: not such images or labels, fewer than two classes, or a setting that cannot be.
        """
        images = _images(X)
        labels, self.classes_ = _encode(y, len(images))
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        self.config_ = self._config(images)
        data = assembly.in_memory(images, labels, [str(name) for name in self.classes_], self.config_)
        split = splits.split(
            data.train_labels,
            "all",
            self.config_.seed,
            classes=len(self.classes_),
            exclude_labeled=self.config_.exclude_labeled,
        )
        with _global_state_kept():
            materials = assembly.place(assembly.Materials(self.config_, data, split, data_digest=""))
            model = assembly.build_model(materials, fit_whitening=True)
            model.fit(
                assembly.batches(materials, 0, self.config_.total_steps),
                epochs=self.config_.epochs,
                steps_per_epoch=self.config_.steps_per_epoch,
                shuffle=False,
                verbose=2 if self.verbose else 0,
                callbacks=[callbacks.StopOnNonFiniteLoss(lambda: int(model.optimizer.iterations) + 1)],
            )
            network, *_ = model.networks_by_name.values()
            self.model_ = export.build(network)
        self._classify = None
        return self

    def _config(self, images: np.ndarray) -> config_module.RunConfig:
        for name in self.settings or {}:
            if name in _NOT_HERE:
                raise ValueError(f"settings[{name!r}]: has no place here, or is an argument of its own; leave it out")
        config, _ = config_module.resolve(
            {
                "dataset": "folder",
                "image_size": int(images.shape[1]),
                "flip": False,
                **(self.settings or {}),
                "method": self.method,
                "network": self.network,
                "epochs": self.epochs,
                "steps_per_epoch": self.steps_per_epoch,
                "arguments": dict(self.arguments or {}),
                "seed": self._seed(),
            }
        )
        return assembly.complete(config)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def predict_proba(self, X):  # noqa: N803
        """``[N, C]`` float32: the probability of each of ``classes_``.

        Raises:
            ValueError: images of another shape than those of `fit`.
        """
        check_is_fitted(self)
        images = _images(X)
        if images.shape[1:] != self.model_.input_shape[1:]:
            raise ValueError(f"images of {self.model_.input_shape[1:]} were fitted, got {images.shape[1:]}")
        if self._classify is None:
            self._classify = evaluate.Compiled(self.model_)
        return evaluate.probabilities(self._classify, images)

    def predict(self, X):  # noqa: N803
        """``[N]``: the most probable of ``classes_``."""
        probs = self.predict_proba(X)
        return self.classes_[probs.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):  # noqa: N803
        """Accuracy on the images that have a label; those with -1 do not count."""
        known = ~_unlabeled(np.asarray(y))
        if not known.any():
            raise ValueError("score: every label is -1; there is nothing to compare with")
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return super().score(np.asarray(X)[known], np.asarray(y)[known], weight)

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_classify"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._classify = None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.non_deterministic = self.random_state is None
        return tags


def _images(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or not images.size or images.shape[-1] not in (1, 2, 3, 4):
        raise ValueError(f"images [N, H, W, C] are needed, got an array of shape {images.shape}")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf":
        raise ValueError(f"images of uint8 in 0 … 255 are needed, got {images.dtype}")
    found = images.clip(0, 255).astype(np.uint8)
    if not np.array_equal(found, images):
        raise ValueError("images hold other values than whole numbers in 0 … 255; scale them to that, as uint8")
    return found


def _unlabeled(labels: np.ndarray) -> np.ndarray:
    return np.array([not isinstance(label, str) and label == UNLABELED for label in labels.tolist()], bool)


def _encode(labels, count: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(f"a label for each of {count} images is needed, got an array of shape {labels.shape}")
    hidden = _unlabeled(labels)
    known = labels[~hidden]
    classes = np.unique(known.astype(str) if labels.dtype == object else known)
    if len(classes) < 2:
        raise ValueError(f"labels of at least two classes are needed, got {len(classes)} class (-1 is unlabeled)")
    found = np.full(count, -1, np.int32)
    found[~hidden] = np.searchsorted(classes, known.astype(classes.dtype))
    return found, classes


@contextlib.contextmanager
def _global_state_kept():
    """Seeds and the precision are set for the whole process while a model is built."""
    policy, state, numbers = keras.config.dtype_policy(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)
        np.random.set_state(numbers)
