"""From a `RunConfig` to data, split, batches and model: with the runner the only code that knows data and networks."""

import dataclasses
import hashlib
import inspect
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

import datasets
import models
from sesemi import pipeline, preprocess, splits
from sesemi.augment import Augmentation
from sesemi.classifier import Classifier
from sesemi.config import RunConfig
from sesemi.errors import InputError
from sesemi.methods import METHODS
from sesemi.training import SemiSupervisedModel

_JIT = {"auto": "auto", "on": True, "off": False}
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@dataclass(frozen=True, eq=False)
class Materials:
    """What a run is made from.

    Args:
        config: with ``steps_per_epoch`` known.
        data: the images.
        split: who is labeled.
        data_digest: SHA-256 of the training images and labels.
        pixels: the training images on the device, with the labels that training may see.
    """

    config: RunConfig
    data: datasets.ImageData
    split: splits.Split
    data_digest: str
    pixels: pipeline.DevicePixels

    @property
    def pool(self) -> np.ndarray:
        """Indices that the method's unlabeled branch draws from."""
        return getattr(self.split, METHODS[self.config.method].unlabeled_pool)

    @property
    def images_per_step(self) -> int:
        """Views that go through the network each step, as it is counted in 2019: six for each unlabeled image."""
        views = METHODS[self.config.method].views.unlabeled
        return self.config.labeled_batch_size + (6 * self.config.batch_size if views else 0)


def gather(config: RunConfig) -> Materials:
    """Load the data and split it.

    Raises:
        InputError: the data are missing or damaged, or do not fit the configuration.
    """
    try:
        data = datasets.load(config.dataset, config.data_dir).at_least(models.smallest_side(config.network))
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    split = splits.split(
        data.train_labels,
        config.labels,
        config.seed,
        classes=len(data.class_names),
        validation=config.validation,
        exclude_labeled=config.exclude_labeled,
    )
    if config.steps_per_epoch is None:
        pool = split.labeled if METHODS[config.method].unlabeled_pool == "labeled" else data.train_images
        config = config.replace(steps_per_epoch=max(len(pool) // config.batch_size, 1))
    digest = hashlib.sha256(data.train_images)
    digest.update(data.train_labels.tobytes())
    pixels = pipeline.DevicePixels(data.train_images, pipeline.visible_labels(data.train_labels, split.labeled))
    # From here on there is one copy of the images: the loader's array is let go of.
    data = dataclasses.replace(data, train_images=pixels.host_images())
    return Materials(config, data, split, digest.hexdigest(), pixels)


def build_model(materials: Materials, *, fit_whitening: bool) -> SemiSupervisedModel:
    """The compiled model of a run, with its first weights.

    Args:
        materials: of the run.
        fit_whitening: False leaves the whitening layer, if there is one, to a checkpoint.

    Raises:
        InputError: the network does not accept such images.
    """
    config, data = materials.config, materials.data
    keras.config.set_dtype_policy(_POLICIES[config.precision])
    keras.utils.set_random_seed(config.seed)
    shape = data.train_images.shape[1:]
    layers = preprocess.build(shape, scale=config.gcn_scale, whiten=config.zca)
    if config.zca and fit_whitening:
        whitening = preprocess.fit_whitening(data.train_images, scale=config.gcn_scale, ridge=config.zca_ridge)
        preprocess.set_whitening(layers, whitening)
    try:
        trunk = models.build(config.network, shape, config.trunk_dropout)
    except ValueError as error:
        raise InputError(str(error)) from error
    classifier = Classifier(trunk, len(data.class_names), preprocess=layers, dropout=config.dropout)
    method = METHODS[config.method]
    arguments = {name: getattr(config, name) for name in inspect.signature(method).parameters if hasattr(config, name)}
    model = SemiSupervisedModel(
        classifier,
        method(**arguments),
        augmentation=augmentation(config),
        pixels=materials.pixels,
        l2=config.l2,
        seed=config.seed,
    )
    model.compile(optimizer(config), jit_compile=_JIT[config.jit])
    model.optimizer.build(model.trainable_variables)
    return model


def augmentation(config: RunConfig) -> Augmentation:
    """The strength of the weak views."""
    return Augmentation(shift=config.shift, flip=config.flip, noise=config.noise)


def optimizer(config: RunConfig) -> keras.optimizers.Optimizer:
    """SGD with Nesterov momentum and the polynomial decay ``lr (1 - t/T)^p`` of every step (Tran 2019)."""
    rate = keras.optimizers.schedules.PolynomialDecay(
        config.learning_rate, config.total_steps, end_learning_rate=0.0, power=config.learning_rate_power
    )
    return keras.optimizers.SGD(rate, momentum=config.momentum, nesterov=config.momentum > 0)


def batches(materials: Materials, start: int, stop: int) -> tf.data.Dataset:
    """The batches of the steps `start` to `stop` - 1."""
    config = materials.config
    return pipeline.index_batches(
        materials.split.labeled,
        materials.pool,
        labeled_batch_size=config.labeled_batch_size,
        batch_size=config.batch_size,
        seed=config.seed,
        start=start,
        stop=stop,
    )
