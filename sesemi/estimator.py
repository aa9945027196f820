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

from sesemi.assembly.build import batches, build_model
from sesemi.assembly.materials import in_memory, place
from sesemi.config import RunConfig, resolve
from sesemi.config.sections import SETTINGS
from sesemi.inference import predictions
from sesemi.training import export
from sesemi.training.guard import StopOnNonFiniteLoss

UNLABELED = -1
# Settings that are arguments of the constructor by their own names.
_OWN = (
    "method",
    "network",
    "epochs",
    "steps_per_epoch",
    "arguments",
    "self_supervision",
    "batch_size",
    "labeled_batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "l2",
    "dropout",
    "flip",
    "shift",
    "noise",
)


class SemiSupervisedClassifier(ClassifierMixin, BaseEstimator):
    """Image classification from few labels, as `sklearn.semi_supervised` has it: ``y == -1`` is unlabeled.

    The arguments are settings of a run by the same names (docs/settings.md). None takes the default of
    ``dataset=folder``.

    Args:
        method: Key of `sesemi.METHODS`.
        network: Trunk, such as ``mini`` or ``wrn``.
        epochs: Number of epochs.
        steps_per_epoch: Number of updates an epoch.
        arguments: Hyper-parameters of the method, such as ``{"weight": 10}``.
        self_supervision: ``rotation`` adds SESEMI's six-way head to any other method.
        batch_size: Number of unlabeled images a step.
        labeled_batch_size: Number of labeled images a step.
        optimizer: ``sgd`` or ``adam``.
        learning_rate: Learning rate of the first step.
        schedule: Name of the schedule by which the rate falls.
        l2: Factor of the sum of all squared kernels, which is added to the loss.
        dropout: Dropout rate before the class head.
        flip: True mirrors half of the views left-right.
        shift: Largest shift of a view, in pixels.
        noise: Standard deviation of a view's noise, on the scale of preprocessed images.
        settings: Any other setting that says how to train, such as ``{"cutout": 0.3}``.
        random_state: Seed of weights, order and views; None draws one.
        verbose: 1 prints losses after every epoch.

    Attributes:
        classes_: Classes ``[C]``, sorted.
        model_: Trained classifier as a plain Keras model, from uint8 pixels to probabilities.
        config_: `sesemi.RunConfig` of the training.

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
        self_supervision: str | None = None,
        batch_size: int | None = None,
        labeled_batch_size: int | None = None,
        optimizer: str | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        l2: float | None = None,
        dropout: float | None = None,
        flip: bool = False,
        shift: int | None = None,
        noise: float | None = None,
        settings: dict[str, Any] | None = None,
        random_state=0,
        verbose: int = 0,
    ):
        self.method, self.network = method, network
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.arguments, self.self_supervision = arguments, self_supervision
        self.batch_size, self.labeled_batch_size = batch_size, labeled_batch_size
        self.optimizer, self.learning_rate, self.schedule = optimizer, learning_rate, schedule
        self.l2, self.dropout = l2, dropout
        self.flip, self.shift, self.noise = flip, shift, noise
        self.settings, self.random_state, self.verbose = settings, random_state, verbose

    def fit(self, X, y):  # noqa: N803
        """Train on images of which some have a label.

        Args:
            X: Images ``[N, H, W, C]``, whole numbers in 0 … 255, best as uint8. A method that rotates
                needs square images.
            y: Class of each image ``[N]``, a number or a text, or -1. With text, give a list or an array of objects.

        Raises:
            ValueError: The images or labels are not like that, there are fewer than two classes, or a setting is wrong.
        """
        images = _images(X)
        labels, classes = _encode(y, len(images))
        config = self._config(images)
        with _global_state_kept():
            materials = place(in_memory(images, labels, [str(name) for name in classes], config))
            model = build_model(materials, fit_whitening=True)
            model.fit(
                batches(materials, 0, materials.total_steps),
                epochs=config.epochs,
                steps_per_epoch=materials.steps_per_epoch,
                shuffle=False,
                verbose=2 if self.verbose else 0,
                callbacks=[StopOnNonFiniteLoss(lambda: int(model.optimizer.iterations))],
            )
            network, *_ = model.networks_by_name.values()
            exported = export.build(network)
        # All at once: what was fitted before stays whole if this fit fails.
        self.model_, self.classes_, self.config_, self._classify = exported, classes, config, None
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        return self

    def _config(self, images: np.ndarray) -> RunConfig:
        for name in self.settings or {}:
            if name in _OWN or name == "seed":
                argument = "random_state" if name == "seed" else name
                raise ValueError(f"settings[{name!r}]: is an argument of its own; give {argument}=")
            if name in SETTINGS and SETTINGS[name].runs_only:
                raise ValueError(f"settings[{name!r}]: is of use only for runs in folders; leave it out")
        own = {name: getattr(self, name) for name in _OWN}
        config, _ = resolve(
            {
                "dataset": "folder",
                "image_size": int(images.shape[1]),
                **_plain(self.settings or {}),
                **{name: _plain(value) for name, value in own.items() if value is not None},
                "seed": self._seed(),
            }
        )
        return config

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def predict_proba(self, X):  # noqa: N803
        """Return the probability of each of ``classes_``, ``[N, C]`` float32.

        Raises:
            ValueError: The images have another shape than those of `fit`.
        """
        check_is_fitted(self)
        images = _images(X)
        if images.shape[1:] != self.model_.input_shape[1:]:
            raise ValueError(f"images of {self.model_.input_shape[1:]} were fitted, got {images.shape[1:]}")
        if self._classify is None:
            self._classify = predictions.Compiled(self.model_)
        return predictions.probabilities(self._classify, images)

    def predict(self, X):  # noqa: N803
        """Return the most probable of ``classes_`` for each image, ``[N]``."""
        probs = self.predict_proba(X)
        return self.classes_[probs.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):  # noqa: N803
        """Return the accuracy on the images that have a label. Those with -1 do not count."""
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
    """Return which labels are -1, ``[N]`` bool, and the other labels, all numbers or all text."""
    # An array made of a list with text would have -1 as text too.
    labels = np.array(labels, object) if isinstance(labels, list | tuple) else np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels [N] are needed, got an array of shape {labels.shape}")
    values = labels.tolist()
    if any(map(_is_missing, values)):
        raise ValueError("labels hold None, NaN or NA; the label of an unlabeled image is -1")
    hidden = np.array([not isinstance(value, str) and value == UNLABELED for value in values], bool)
    known = [value for value, is_hidden in zip(values, hidden, strict=True) if not is_hidden]
    if len({isinstance(value, str) for value in known}) > 1:
        raise ValueError("labels are text and numbers; make them all one, except -1 where there is none")
    found = np.array(known)
    if found.ndim != 1 or found.dtype.kind not in "biufU":
        raise ValueError(f"labels are numbers or text, got {type(known[0]).__name__}")
    if str(UNLABELED) in known:
        raise ValueError("labels hold the text '-1'; give -1 as a number, in a list or an array of objects")
    if len(found):
        check_classification_targets(found)
    return hidden, found


def _is_missing(value: Any) -> bool:
    """Return whether a label is None, NaN, or the NA of pandas, which answers no comparison."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _plain(value: Any) -> Any:
    """Return a value with the numbers of Python in place of those of numpy, also inside of a dictionary."""
    if isinstance(value, dict):
        return {name: _plain(inside) for name, inside in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _encode(labels, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as positions in the classes, ``[N]`` int32, -1 where there is none; and the classes, sorted."""
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
    """Restore the process's seeds and precision, which building a model sets. TensorFlow's seed stays set."""
    policy, state, numbers = keras.config.dtype_policy(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)
        np.random.set_state(numbers)
