"""`SemiSupervisedClassifier`: any method as a scikit-learn estimator."""

import contextlib
import random
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sesemi.assembly import build
from sesemi.config import run_config as config_module
from sesemi.inference import predictions
from sesemi.pipeline import splits
from sesemi.runs import callbacks
from sesemi.training import export

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
            y: ``[N]``: the class of each image, numbers or text, or -1. With text, a list or an array of objects.

        Raises:
            ValueError: not such images or labels, fewer than two classes, or a setting that cannot be.
        """
        images = _images(X)
        labels, classes = _encode(y, len(images))
        config = self._config(images)
        data = build.in_memory(images, labels, [str(name) for name in classes], config)
        split = splits.split(
            data.train_labels, "all", config.seed, classes=len(classes), exclude_labeled=config.exclude_labeled
        )
        with _global_state_kept():
            materials = build.place(build.Materials(config, data, split, data_digest=""))
            model = build.build_model(materials, fit_whitening=True)
            model.fit(
                build.batches(materials, 0, config.total_steps),
                epochs=config.epochs,
                steps_per_epoch=config.steps_per_epoch,
                shuffle=False,
                verbose=2 if self.verbose else 0,
                callbacks=[callbacks.StopOnNonFiniteLoss(lambda: int(model.optimizer.iterations) + 1)],
            )
            network, *_ = model.networks_by_name.values()
            exported = export.build(network)
        # All at once: what was fitted before stays whole if this fit fails.
        self.model_, self.classes_, self.config_, self._classify = exported, classes, config, None
        self.n_features_in_ = int(np.prod(images.shape[1:]))
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
        return build.complete(config)

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
            self._classify = predictions.Compiled(self.model_)
        return predictions.probabilities(self._classify, images)

    def predict(self, X):  # noqa: N803
        """``[N]``: the most probable of ``classes_``."""
        probs = self.predict_proba(X)
        return self.classes_[probs.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):  # noqa: N803
        """Accuracy on the images that have a label; those with -1 do not count."""
        hidden, labels = _labels(y)
        if not len(labels):
            raise ValueError("score: every label is -1; there is nothing to compare with")
        weight = None if sample_weight is None else np.asarray(sample_weight)[~hidden]
        return super().score(np.asarray(X)[~hidden], labels, weight)

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


def _labels(labels) -> tuple[np.ndarray, np.ndarray]:
    """Which labels are -1, ``[N]`` bool; and the others, all numbers or all text."""
    # In an array of text made of a list, -1 would be text too.
    labels = np.array(labels, object) if isinstance(labels, list | tuple) else np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels [N] are needed, got an array of shape {labels.shape}")
    values = labels.tolist()
    hidden = np.array([not isinstance(value, str) and value == UNLABELED for value in values], bool)
    known = [value for value, is_hidden in zip(values, hidden, strict=True) if not is_hidden]
    if any(value is None or value != value for value in known):
        raise ValueError("labels hold None or NaN; the label of an unlabeled image is -1")
    if len({isinstance(value, str) for value in known}) > 1:
        raise ValueError("labels are text and numbers; make them all one, but -1 where there is none")
    found = np.array(known)
    if found.ndim != 1 or found.dtype.kind not in "biufU":
        raise ValueError(f"labels are numbers or text, got {type(known[0]).__name__}")
    if str(UNLABELED) in known:
        raise ValueError("labels hold the text '-1'; give -1 as a number, in a list or an array of objects")
    if len(found):
        check_classification_targets(found)
    return hidden, found


def _encode(labels, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels as positions in the classes, ``[N]`` int32, -1 where there is none; and the classes, sorted."""
    hidden, known = _labels(labels)
    if len(hidden) != count:
        raise ValueError(f"a label for each of {count} images is needed, got {len(hidden)}")
    classes, positions = np.unique(known, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"labels of at least two classes are needed, got {len(classes)} class (-1 is unlabeled)")
    found = np.full(count, -1, np.int32)
    found[~hidden] = positions
    return found, classes


@contextlib.contextmanager
def _global_state_kept():
    """Seeds and the precision are set for the whole process while a model is built; TensorFlow's seed stays set."""
    policy, state, numbers = keras.config.dtype_policy(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)
        np.random.set_state(numbers)
