"""Assembly of a run's batches, optimizer and compiled model from its materials."""

import keras
import numpy as np
import tensorflow as tf

from sesemi import models
from sesemi.assembly import method as methods_of_runs
from sesemi.assembly.materials import Materials, refuse_whitening
from sesemi.augmentation.randaugment import RandAugment
from sesemi.augmentation.views import Augmentation
from sesemi.config.sections import OptimizationSettings, ViewSettings
from sesemi.pipeline.batches import index_batches
from sesemi.primitives import replicas, schedules
from sesemi.training import preprocess
from sesemi.training.classifier import Classifier
from sesemi.training.model import SemiSupervisedModel

_JIT = {"auto": "auto", "on": True, "off": False}
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def build_model(materials: Materials, *, fit_whitening: bool) -> SemiSupervisedModel:
    """Return the compiled model of a run, with its first weights.

    Args:
        materials: Materials of the run.
        fit_whitening: False leaves the whitening layer, if there is one, to a checkpoint.

    Raises:
        InputError: The network does not accept such images.
    """
    config = materials.config
    keras.config.set_dtype_policy(_POLICIES[config.precision])
    keras.utils.set_random_seed(config.seed)
    with replicas.scope(tf.distribute.get_strategy()):
        classifier = _classifier(materials, fit_whitening=fit_whitening)
        model = SemiSupervisedModel(
            classifier,
            # Made here, after the seed is set, because its heads draw their first weights.
            methods_of_runs.make(config),
            augmentation=augmentation(config),
            pixels=materials.pixels,
            l2=config.l2,
            seed=config.seed,
            joint_forward=config.joint_forward,
            regularize_labeled=config.regularize_labeled,
            total_steps=materials.total_steps,
            unlabeled_images=len(materials.pool) + len(materials.extra_pool),
            ema_part=config.ema_part,
            ema_warm_up=config.ema_warm_up,
        )
    model.compile(
        optimizer(config, materials.total_steps, model.method.students),
        jit_compile=_JIT[config.jit],
        steps_per_execution=config.steps_per_execution,
    )
    with replicas.scale_scope():
        model.optimizer.build(model.trainable_variables)
    return model


def _classifier(materials: Materials, *, fit_whitening: bool) -> Classifier:
    config, data = materials.config, materials.data
    shape = data.train_images.shape[1:]
    refuse_whitening(config, shape)
    layers = preprocess.build(shape, scale=config.gcn_scale, whiten=config.zca)
    if config.zca and fit_whitening:
        whitening = preprocess.fit_whitening(data.train_images, scale=config.gcn_scale, ridge=config.zca_ridge)
        preprocess.set_whitening(layers, whitening)
    trunk = models.build(config.network, shape, config.trunk_dropout)
    classes, synchronized = len(data.class_names), config.sync_batch_norm
    return Classifier(trunk, classes, preprocess=layers, dropout=config.dropout, synchronized=synchronized)


def augmentation(config: ViewSettings) -> Augmentation:
    """Return the strength of the views."""
    strong = RandAugment(
        operations=config.strong_operations,
        level=None if isinstance(config.strong_level, str) else config.strong_level,
        probability=config.strong_probability,
        cutout=config.cutout,
        cutout_side=config.cutout_side,
        fill=config.strong_fill,
    )
    return Augmentation(shift=config.shift, flip=config.flip, noise=config.noise, strong=strong)


def optimizer(config: OptimizationSettings, total_steps: int, students: int = 1) -> keras.optimizers.Optimizer:
    """Return SGD with Nesterov momentum or Adam, with the rate of every step and decoupled decay of the kernels.

    Args:
        config: Settings of the optimization.
        total_steps: Number of updates of the whole run.
        students: Number of networks that are trained one after the other, each with the whole schedule.
    """
    decay = config.weight_decay or None
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    elif config.schedule == "cosine_7_16":
        rate = schedules.Cosine716(config.learning_rate, total_steps)
    else:
        rate = keras.optimizers.schedules.PolynomialDecay(
            config.learning_rate, total_steps, end_learning_rate=0.0, power=config.learning_rate_power
        )
    if students > 1:
        rate = schedules.ForEachStudent(rate, total_steps, students)
    if config.optimizer == "adam":
        found = keras.optimizers.Adam(rate, beta_1=config.momentum, weight_decay=decay)
    else:
        nesterov = config.momentum > 0
        found = keras.optimizers.SGD(rate, momentum=config.momentum, nesterov=nesterov, weight_decay=decay)
    if decay:
        found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return found


def batches(materials: Materials, start: int, stop: int, promoted: np.ndarray | None = None) -> tf.data.Dataset:
    """Return the batches of the steps `start` to `stop` - 1.

    Args:
        materials: Materials of the run.
        start: First step.
        stop: Step after the last one.
        promoted: Indices of images that were promoted to labeled ones.
    """
    config, labeled, pool = materials.config, materials.split.labeled, materials.pool
    if promoted is not None and len(promoted):
        labeled = np.union1d(labeled, promoted)
        rest = np.setdiff1d(pool, promoted)
        pool = rest if config.exclude_labeled and len(rest) else pool
    return index_batches(
        labeled,
        pool,
        labeled_batch_size=config.labeled_batch_size,
        batch_size=config.batch_size,
        seed=config.seed,
        start=start,
        stop=stop,
        extra=materials.extra_pool,
        fetch=materials.pixels.fetch,
    )
