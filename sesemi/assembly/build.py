"""From a `RunConfig` to data, split, batches and model: with the runner the only code that knows data and networks."""

import dataclasses
import math
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from sesemi import datasets, models
from sesemi.augmentation.randaugment import RandAugment
from sesemi.augmentation.views import Augmentation
from sesemi.config import checks, presets
from sesemi.config.run_config import Origins, RunConfig
from sesemi.errors import InputError
from sesemi.methods import METHODS, Method, WithRotation
from sesemi.pipeline import batches, label_files, splits
from sesemi.primitives import replicas, schedules
from sesemi.runs import progress
from sesemi.training import preprocess
from sesemi.training.classifier import Classifier
from sesemi.training.model import SemiSupervisedModel

# Features of an image: the covariance has their square, in 64 bits, and its decomposition takes their cube.
_MOST_WHITENED = 64 * 64 * 3
_JIT = {"auto": "auto", "on": True, "off": False}
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True, eq=False)
class Materials:
    """What a run is made from.

    Args:
        config: with ``steps_per_epoch`` known.
        data: the images.
        split: who is labeled.
        data_digest: SHA-256 of the training images and labels.
        files_sha256: of the files that they came from, see `datasets.files_sha256`.
        pixels: the training images on the devices, with the labels that training may see; None before `place`.
    """

    config: RunConfig
    data: datasets.ImageData
    split: splits.Split
    data_digest: str
    files_sha256: str | None = None
    pixels: batches.DevicePixels | None = None

    @property
    def pool(self) -> np.ndarray:
        """Indices that the method's unlabeled branch draws from."""
        return getattr(self.split, METHODS[self.config.method].unlabeled_pool)

    @property
    def extra_pool(self) -> np.ndarray:
        """Indices of the images from elsewhere, of which half of each unlabeled batch is drawn; may be empty."""
        images = len(self.data.train_labels)
        return np.arange(images - self.data.extra, images)

    @property
    def images_per_step(self) -> int:
        """Views a step, as counted in 2019: each labeled image, and each view of each unlabeled one."""
        labeled, unlabeled = self.config.labeled_batch_size, self.config.batch_size
        unlabeled += self.config.regularize_labeled * labeled
        return build_method(self.config).images_per_step(labeled=labeled, unlabeled=unlabeled)


def complete(config: RunConfig) -> RunConfig:
    """Fill in the arguments of the method that neither the user nor a preset gave.

    Raises:
        InputError: the method has no such argument, or it cannot have that value.
    """
    method = METHODS[config.method]
    defaults = method.arguments()
    if config.self_supervision == "rotation":
        defaults["rotation_weight"] = 1.0
    for name, value in config.arguments.items():
        if name not in defaults:
            there = ", ".join(defaults) or "none"
            raise InputError(f"--set {name}={value}: {config.method} has no such argument; it has {there}")
    found = defaults | config.arguments
    for name, value in found.items():
        # 30 and 30.0 are one setting.
        if isinstance(defaults[name], float) and type(value) is int:
            found[name] = float(value)
    config = config.replace(arguments=found)
    method = build_method(config)
    if config.promote != "none" and method.students > 1:
        raise InputError(
            f"--promote {config.promote}: {config.method} trains one student after the other, and one that has just "
            "begun would promote; leave it out"
        )
    lost = "the teacher, which moves after every update" if method.ema_decay is not None else None
    if method.students > 1:
        lost = "the students, who begin between two updates"
    if config.steps_per_execution > 1 and lost:
        raise InputError(
            f"--steps-per-execution {config.steps_per_execution}: {config.method} would lose {lost}; leave it out"
        )
    try:
        method.check_batches(
            labeled=config.labeled_batch_size,
            unlabeled=config.batch_size,
            joint_forward=config.joint_forward,
            regularize_labeled=config.regularize_labeled,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    return config


_STRONG_VIEW = (
    "strong_operations",
    "strong_level",
    "strong_probability",
    "cutout",
    "cutout_side",
    "strong_fill",
)


def without_effect(config: RunConfig, origins: Origins) -> list[str]:
    """A line for every setting of strong views that the user gave to a method that has none.

    They are not refused, so that runs of several methods can share their flags.
    """
    views = build_method(config).views
    if "strong" in (views.labeled, *views.unlabeled, *views.also_labeled):
        return []
    given = [name for name in _STRONG_VIEW if origins.get(name) == "user"]
    return [f"--{name.replace('_', '-')}: {config.method} has no strong view; it changes nothing" for name in given]


def build_method(config: RunConfig) -> Method:
    """The method of a run, not yet built.

    Raises:
        InputError: an argument has a value that it cannot have.
    """
    arguments = dict(config.arguments)
    rotation_weight = arguments.pop("rotation_weight", 1.0) if config.self_supervision == "rotation" else None
    try:
        method = METHODS[config.method](**arguments)
        method.check()
        if rotation_weight is not None:
            method = WithRotation(method, rotation_weight)
            method.check()
    except ValueError as error:
        raise InputError(f"--set {error}") from error
    return method


def gather(config: RunConfig) -> Materials:
    """`load` and `place`."""
    return place(load(config))


def load(config: RunConfig) -> Materials:
    """Load the data and split it; `place` has still to put the images on the devices.

    Raises:
        InputError: the data are missing or damaged, or do not fit the configuration.
    """
    config = complete(config)
    smallest = models.smallest_side(config.network)
    if presets.kind(config.dataset) in presets.ANY_SIZE and config.image_size < smallest:
        raise InputError(
            f"--image-size {config.image_size}: --network {config.network} needs at least {smallest} pixels"
        )
    if presets.kind(config.dataset) in presets.ANY_SIZE and config.zca:
        _refuse_whitening(config.image_size, config.image_size, 3)
    files, data, chosen = files_sha256(config), _images(config, smallest), None
    if config.labels_from is not None:
        chosen = label_files.read(
            config.labels_from,
            data.own_labels,
            data.class_names,
            labels_sha256=data.labels_sha256(),
            named=config.dataset != "folder",
        )
        if config.validation and len(chosen[1]):
            raise InputError(f"--validation: {config.labels_from} has validation images already; leave it out")
    split = splits.split(
        data.train_labels,
        config.labels,
        config.seed,
        classes=len(data.class_names),
        validation=config.validation,
        exclude_labeled=config.exclude_labeled,
        chosen=chosen,
        given_validation=data.validation,
        extra=data.extra,
    )
    if config.promote != "none" and len(split.labeled) + len(split.validation) == len(data.own_labels):
        raise InputError(f"--promote {config.promote}: every image is labeled, none is left to promote; leave it out")
    if config.steps_per_epoch is None:
        asl = METHODS[config.method].unlabeled_pool == "labeled"
        pool = len(split.labeled) if asl else len(data.train_labels) - data.extra
        # Whole executions: fewer than N steps are left out of each pass over the pool.
        own, whole = config.batch_size // (2 if data.extra else 1), config.steps_per_execution
        config = config.replace(steps_per_epoch=max(pool // own // whole, 1) * whole)
    return Materials(config, data, split, data.sha256(), files)


def _images(config: RunConfig, smallest: int) -> datasets.ImageData:
    """The images of a run, with those from elsewhere; what is missing is said before anything is read."""
    how, extra = _reading(config), checks.wants_extra(vars(config))
    try:
        if extra:
            datasets.refuse_extra(config.extra_source, config.extra)
        if config.labels_from is not None:
            label_files.refuse_missing(config.labels_from)
        plain = datasets.load(config.dataset, config.data_dir, how)
        data = plain.at_least(smallest)
        if not extra:
            return data
        return datasets.with_extra(data, config.extra_source, config.extra, config.seed, how, test=plain.test_images)
    except OSError as error:
        where = f"{error.filename}: cannot be read ({error.strerror})" if error.filename and error.strerror else error
        raise InputError(str(where)) from error
    except (ValueError, MemoryError) as error:
        raise InputError(str(error) or "not enough memory") from error


def files_sha256(config: RunConfig) -> str | None:
    """`datasets.files_sha256` of the data of a run."""
    return datasets.files_sha256(config.dataset, config.data_dir, config.labels_file)


def _reading(config: RunConfig) -> datasets.Reading:
    return datasets.Reading(
        side=config.image_size,
        resize=config.resize,
        labels_file=config.labels_file,
        strict=config.strict,
        limit=config.memory_limit * 2**20,
        progress=None if config.quiet else progress.Now("looked at {} of {} pictures"),
        say=None if config.quiet else progress.tell,
    )


def in_memory(images: np.ndarray, labels: np.ndarray, class_names, config: RunConfig) -> datasets.ImageData:
    """Training images that a program brings, without a test.

    Args:
        images: ``[N, H, W, C]`` uint8.
        labels: ``[N]`` int32, -1 where there is none.
        class_names: one a class.
        config: names the network.

    Raises:
        InputError: they are smaller than the network takes.
    """
    smallest = models.smallest_side(config.network)
    if min(images.shape[1:3]) < smallest:
        raise InputError(
            f"network {config.network!r}: needs images of at least {smallest} pixels, got {images.shape[1:]}"
        )
    return datasets.ImageData(images, labels, images[:0], labels[:0], tuple(class_names))


def place(materials: Materials) -> Materials:
    """Put the training images on all devices of the current strategy."""
    data = materials.data
    visible = batches.visible_labels(data.train_labels, materials.split.labeled)
    in_memory = isinstance(data.train_images, np.ndarray)
    kind = batches.DevicePixels if in_memory else batches.StreamedPixels
    pixels = kind(data.train_images, visible, truth=data.train_labels)
    # From here on there is one copy of the images: the loader's array is let go of.
    data = dataclasses.replace(data, train_images=pixels.host_images())
    return dataclasses.replace(materials, data=data, pixels=pixels)


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
    if config.zca:
        _refuse_whitening(*shape)
    with replicas.scope(tf.distribute.get_strategy()):
        layers = preprocess.build(shape, scale=config.gcn_scale, whiten=config.zca)
        if config.zca and fit_whitening:
            whitening = preprocess.fit_whitening(data.train_images, scale=config.gcn_scale, ridge=config.zca_ridge)
            preprocess.set_whitening(layers, whitening)
        try:
            trunk = models.build(config.network, shape, config.trunk_dropout)
        except ValueError as error:
            raise InputError(str(error)) from error
        classifier = Classifier(
            trunk,
            len(data.class_names),
            preprocess=layers,
            dropout=config.dropout,
            synchronized=config.sync_batch_norm,
        )
        model = SemiSupervisedModel(
            classifier,
            build_method(config),
            augmentation=augmentation(config),
            pixels=materials.pixels,
            l2=config.l2,
            seed=config.seed,
            joint_forward=config.joint_forward,
            regularize_labeled=config.regularize_labeled,
            total_steps=config.total_steps,
            unlabeled_images=len(materials.pool) + len(materials.extra_pool),
        )
    model.compile(
        optimizer(config, model.method.students),
        jit_compile=_JIT[config.jit],
        steps_per_execution=config.steps_per_execution,
    )
    with replicas.scale_scope():
        model.optimizer.build(model.trainable_variables)
    return model


def _refuse_whitening(*shape: int) -> None:
    if math.prod(shape) > _MOST_WHITENED:
        raise InputError(f"--zca: images of {shape[0]} x {shape[1]} are too large to be whitened; give --no-zca")


def augmentation(config: RunConfig) -> Augmentation:
    """The strength of the views."""
    strong = RandAugment(
        operations=config.strong_operations,
        level=None if config.strong_level == "random" else config.strong_level,
        probability=config.strong_probability,
        cutout=config.cutout,
        cutout_side=config.cutout_side,
        fill=config.strong_fill,
    )
    return Augmentation(shift=config.shift, flip=config.flip, noise=config.noise, strong=strong)


def optimizer(config: RunConfig, students: int = 1) -> keras.optimizers.Optimizer:
    """SGD with Nesterov momentum or Adam, with the rate of every step and decoupled decay of the kernels.

    Args:
        config: of the run.
        students: how many are trained one after the other, each with the whole schedule.
    """
    decay = config.weight_decay or None
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, config.total_steps)
    elif config.schedule == "cosine_7_16":
        rate = schedules.Cosine716(config.learning_rate, config.total_steps)
    else:
        rate = keras.optimizers.schedules.PolynomialDecay(
            config.learning_rate, config.total_steps, end_learning_rate=0.0, power=config.learning_rate_power
        )
    if students > 1:
        rate = schedules.ForEachStudent(rate, config.total_steps, students)
    if config.optimizer == "adam":
        found = keras.optimizers.Adam(rate, beta_1=config.momentum, weight_decay=decay)
    else:
        nesterov = config.momentum > 0
        found = keras.optimizers.SGD(rate, momentum=config.momentum, nesterov=nesterov, weight_decay=decay)
    if decay:
        found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return found


def batches(materials: Materials, start: int, stop: int, promoted: np.ndarray | None = None) -> tf.data.Dataset:
    """The batches of the steps `start` to `stop` - 1.

    Args:
        materials: of the run.
        start: the first step.
        stop: the step after the last.
        promoted: indices of images that became labeled on the way.
    """
    config, labeled, pool = materials.config, materials.split.labeled, materials.pool
    if promoted is not None and len(promoted):
        labeled = np.union1d(labeled, promoted)
        rest = np.setdiff1d(pool, promoted)
        pool = rest if config.exclude_labeled and len(rest) else pool
    return batches.index_batches(
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
