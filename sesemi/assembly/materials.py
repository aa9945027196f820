"""Materials of a run: images, split and method, and the images on the devices."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sesemi import datasets, models
from sesemi.assembly import method as methods_of_runs
from sesemi.config import RunConfig
from sesemi.config.checks import wants_extra
from sesemi.config.registry import is_any_size
from sesemi.config.sections import DataSettings, ViewSettings
from sesemi.datasets.base import some
from sesemi.datasets.folder_state import FolderState
from sesemi.errors import InputError
from sesemi.methods import Method
from sesemi.pipeline import label_files, splits
from sesemi.pipeline.pixels import DevicePixels, Pixels, StreamedPixels, visible_labels
from sesemi.terminal import Now, tell
from sesemi.training import preprocess

_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Materials:
    """Materials that a run is made from.

    Args:
        config: Settings of the run.
        method: Method, not built, because only its facts are looked at.
        data: Images and their labels.
        split: Indices of the labeled images and of the other pools.
        steps_per_epoch: Number of updates an epoch.
        data_digest: SHA-256 of the training images and labels.
        files: Hashes of the files that they came from, see `load_for_run`; empty where nobody has looked.
        pixels: Training images on the devices, with the labels that training may see; None before `place`.
    """

    config: RunConfig
    method: Method
    data: datasets.ImageData
    split: splits.Split
    steps_per_epoch: int
    data_digest: str = ""
    files: dict[str, str | None] = dataclasses.field(default_factory=dict)
    pixels: Pixels | None = None

    @property
    def total_steps(self) -> int:
        """Number of updates of the whole run."""
        return self.config.epochs * self.steps_per_epoch

    @property
    def recorded(self) -> RunConfig:
        """Settings as ``config.json`` has them, with all hyper-parameters and the number of updates an epoch."""
        arguments = methods_of_runs.hyperparameters(self.config)
        return self.config.replace(arguments=arguments, steps_per_epoch=self.steps_per_epoch)

    @property
    def pool(self) -> np.ndarray:
        """Indices of the images that the method's unlabeled branch draws from."""
        return getattr(self.split, self.method.unlabeled_pool)

    @property
    def extra_pool(self) -> np.ndarray:
        """Indices of the images from elsewhere, of which half of each unlabeled batch is drawn; may be empty."""
        images = len(self.data.train_labels)
        return np.arange(images - self.data.extra, images)

    @property
    def images_per_step(self) -> int:
        """Number of views a step, as counted in 2019: each labeled image, and each view of each unlabeled one."""
        labeled, unlabeled = self.config.labeled_batch_size, self.config.batch_size
        unlabeled += self.config.regularize_labeled * labeled
        return self.method.images_per_step(labeled=labeled, unlabeled=unlabeled)


def gather(config: RunConfig) -> Materials:
    """Load the data and put the images on the devices; see `load` and `place`."""
    return place(load(config))


def load(config: RunConfig) -> Materials:
    """Load the data and split it. `place` has still to put the images on the devices.

    Raises:
        InputError: The data are missing or damaged, or do not fit the configuration.
    """
    method = methods_of_runs.made_for(config)
    smallest = models.smallest_side(config.network)
    if is_any_size(config.dataset) and config.image_size < smallest:
        raise InputError(
            f"`network={config.network}` needs at least {smallest} pixels",
            setting="image_size",
            value=config.image_size,
        )
    if is_any_size(config.dataset):
        refuse_whitening(config, (config.image_size, config.image_size, 3))
    data, chosen = _images(config, smallest), None
    data = dataclasses.replace(data, notes=(*data.notes, *_one_colour(data.train_images, data.paths)))
    if config.labels_from is not None:
        chosen = label_files.read(
            config.labels_from,
            data.own_labels,
            data.class_names,
            labels_sha256=data.labels_sha256(),
            named=config.dataset != "folder",
        )
        if config.validation and len(chosen[1]):
            raise InputError(
                f"{config.labels_from} has validation images already", setting="validation", cure="leave it out"
            )
    split = splits.split(
        data.train_labels,
        config.labels,
        config.seed,
        classes=data.class_names,
        validation=config.validation,
        exclude_labeled=config.exclude_labeled,
        chosen=chosen,
        given_validation=data.validation,
        extra=data.extra,
    )
    if config.promote != "none" and len(split.labeled) + len(split.validation) == len(data.own_labels):
        raise InputError(
            "every image is labeled, none is left to promote",
            setting="promote",
            value=config.promote,
            cure="leave it out",
        )
    steps = _steps_per_epoch(config, method, data, split)
    return Materials(config, method, data, split, steps, data.sha256())


def _one_colour(images, paths: Sequence[str] | None) -> list[str]:
    """Return a note about training pictures that are of one colour each; those that are not in memory are not seen.

    Raises:
        InputError: All are; from equal pictures nothing can be learned, and no loss says so.
    """
    if not isinstance(images, np.ndarray):
        return []
    # By chunks, because a comparison of all at once would need as much memory as they.
    chunks = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
    flat = np.flatnonzero(np.concatenate([(chunk == chunk[:, :1, :1]).all(axis=(1, 2, 3)) for chunk in chunks]))
    if len(flat) == len(images):
        shade = "black" if not images.any() else "of one colour"
        raise InputError(
            f"all {len(images)} training pictures are {shade}, so there is nothing to learn",
            cure="look at the files, and at how they were made; pixels are 0 … 255",
        )
    names = [str(i) if paths is None or i >= len(paths) else paths[i] for i in flat]
    return [f"{len(flat)} training pictures are of one colour each: {some(names)}"] if len(flat) else []


def _steps_per_epoch(config: RunConfig, method: Method, data: datasets.ImageData, split: splits.Split) -> int:
    """Return the updates of an epoch: as the settings say, else one pass over the images that the method draws from."""
    if config.steps_per_epoch is not None:
        return config.steps_per_epoch
    pool = len(split.labeled) if method.unlabeled_pool == "labeled" else len(data.train_labels) - data.extra
    # An epoch has whole executions only, so fewer than N steps are left out of each pass over the pool.
    own, whole = config.batch_size // (2 if data.extra else 1), config.steps_per_execution
    return max(pool // own // whole, 1) * whole


def _images(config: RunConfig, smallest: int) -> datasets.ImageData:
    """Return the images of a run, with those from elsewhere. Missing files are told before anything is read."""
    how, extra = _reading(config, quiet=config.quiet), wants_extra(config.extra, config.extra_source)
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
    except InputError:
        raise
    except OSError as error:
        where = f"{error.filename}: cannot be read ({error.strerror})" if error.filename and error.strerror else error
        raise InputError(str(where)) from error
    except (ValueError, MemoryError) as error:
        raise InputError(str(error) or "not enough memory") from error


def load_for_run(config: RunConfig) -> Materials:
    """Return `load` with hashes of the files, as ``results.json`` has them.

    ``files_sha256`` is of paths, sizes and the table of labels, ``files_times_sha256`` also of when each was changed,
    ``files_contents_sha256`` of what is in them, for which each is read. ``extra_files_…`` and ``labels_from_…``
    are the same of the source of extra images and of the file of indices. Where nothing can change, the first is None.
    """
    states = _states(config)
    found, files = load(config), {"files_sha256": None}
    say = None if config.quiet else Now("read {} files again, to know later whether they have changed")
    for name, state in states.items():
        if state.sizes is not None:
            contents = state.contents(say and (lambda done: say(done, done)))
            hashes = {"sha256": state.sizes, "times_sha256": state.times, "contents_sha256": contents}
            files |= {f"{name}_{kind}": value for kind, value in hashes.items()}
    return dataclasses.replace(found, files=files)


def _states(config: RunConfig) -> dict[str, FolderState]:
    """Return a quick look at the files that a user can change, by what they are for."""
    found = {}
    if config.dataset == "folder" and config.data_dir:
        found["files"] = FolderState(Path(config.data_dir), config.labels_file)
    kind, _, place = (config.extra_source or "").partition(":")
    if kind in ("folder", "npy") and place:
        found["extra_files"] = FolderState(Path(place).expanduser())
    if config.labels_from is not None:
        found["labels_from"] = FolderState(Path(config.labels_from))
    return found


def files_have_changed(config: RunConfig, before: Mapping[str, str | None]) -> bool:
    """Return whether the files of a run have changed since `load_for_run` gave `before`; False if that is unknown.

    What is in them is read only if their sizes are the same, and when they were changed is not.
    """
    return any(_has_changed(name, state, before) for name, state in _states(config).items())


def _has_changed(name: str, state: FolderState, before: Mapping[str, str | None]) -> bool:
    sizes, times, contents = (before.get(f"{name}_{kind}sha256") for kind in ("", "times_", "contents_"))
    if None in (state.sizes, sizes):
        return False
    if state.sizes != sizes:
        return True
    return contents is not None and state.times != times and state.contents() not in (None, contents)


def _reading(config: DataSettings, *, quiet: bool) -> datasets.Reading:
    return datasets.Reading(
        side=config.image_size,
        resize=config.resize,
        labels_file=config.labels_file,
        strict=config.strict,
        limit=config.memory_limit * 2**20,
        progress=None if quiet else Now("looked at {} of {} pictures"),
        say=None if quiet else tell,
    )


def refuse_whitening(config: ViewSettings, shape: Sequence[int]) -> None:
    """Refuse to whiten images that are too large for it.

    Raises:
        InputError: The images are too large.
    """
    if config.zca and not preprocess.can_be_whitened(shape):
        raise InputError(
            f"images of {shape[0]} x {shape[1]} are too large to be whitened", setting="zca", cure="give `zca=False`"
        )


def in_memory(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], config: RunConfig) -> Materials:
    """Return the materials of a run on training images that a program brings, without a test.

    Args:
        images: ``[N, H, W, C]`` uint8.
        labels: ``[N]`` int32, -1 where there is none.
        class_names: One name a class.
        config: Settings of the run; all labels are used.

    Raises:
        InputError: The images are smaller than the network takes, or settings do not go together.
    """
    method, smallest = methods_of_runs.made_for(config), models.smallest_side(config.network)
    if min(images.shape[1:3]) < smallest:
        raise InputError(
            f"needs images of at least {smallest} pixels, got {images.shape[1:]}",
            setting="network",
            value=config.network,
        )
    _one_colour(images, None)
    data = datasets.ImageData(images, labels, images[:0], labels[:0], tuple(class_names))
    split = splits.split(labels, "all", config.seed, classes=class_names, exclude_labeled=config.exclude_labeled)
    return Materials(config, method, data, split, _steps_per_epoch(config, method, data, split))


def place(materials: Materials) -> Materials:
    """Put the training images on all devices of the current strategy."""
    data = materials.data
    visible = visible_labels(data.train_labels, materials.split.labeled)
    kind = DevicePixels if isinstance(data.train_images, np.ndarray) else StreamedPixels
    pixels = kind(data.train_images, visible, truth=data.train_labels)
    # From here on there is one copy of the images: the loader's array is let go of.
    data = dataclasses.replace(data, train_images=pixels.host_images())
    return dataclasses.replace(materials, data=data, pixels=pixels)
