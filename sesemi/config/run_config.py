"""`RunConfig`: all that repeats a run, with the origin of every value; to and from JSON.

Standard library only, so that bad arguments are refused before TensorFlow is loaded.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sesemi.config import checks, presets
from sesemi.errors import InputError

# Where and how a run goes and is shown; the numbers that come out do not depend on these, but for the rounding of
# sums and, on several devices, for what works within each (see ARCHITECTURE.md).
PLACEMENT = (
    "data_dir",
    "memory_limit",
    "output",
    "name",
    "gpu",
    "workers",
    "worker",
    "steps_per_execution",
    "tensorboard",
    "quiet",
)


@dataclass(frozen=True)
class RunConfig:
    """One run, wholly resolved; build it with `resolve` or `from_json`.

    Attributes:
        method: a name in `presets.METHODS`.
        arguments: hyper-parameters of the method's class, by name; what is not said here is the class's default.
        network: trunk, a name in ``models/``.
        dataset: a name in ``datasets/``, ``folder``, or ``tfds:NAME``.
        labels: number of labeled images, ``"all"``, or ``"file"`` with `labels_from`.
        labels_from: a file that says which images are labeled (`sesemi.pipeline.label_files`), or None.
        labels_file: a table of labels for ``folder``, or None.
        strict: whether faults of a ``folder`` that could be left out are an error.
        image_size: height and width that pictures of any size get, in pixels.
        resize: how: ``crop`` or ``pad``.
        extra: how many unlabeled images from elsewhere half of each unlabeled batch is drawn from; None: all of
            `extra_source`, or none if that is None too.
        extra_source: where they come from: ``tiny-images``, ``imagenet32``, ``folder:DIR``, ``npy:FILE``; or None.
        seed: everything random is a function of it and of the step.
        epochs: number of epochs.
        steps_per_epoch: updates an epoch; None, where no preset says it, until the data are loaded (then training
            images, for asl labeled images, // batch_size).
        batch_size: unlabeled images a step; a self-supervised branch sees six views of each.
        labeled_batch_size: labeled images a step.
        optimizer: ``sgd`` (Nesterov) or ``adam``.
        learning_rate: the first step's.
        schedule: ``polynomial``: ``learning_rate * (1 - t/T) ** learning_rate_power``, or ``cosine``:
            ``learning_rate * (1 + cos(pi t/T)) / 2``, or ``cosine_7_16``: ``learning_rate * cos(7 pi t/(16 T))``
            (FixMatch's). A method with several students goes through it once for each.
        learning_rate_power: see above; 0 is a constant rate.
        momentum: Nesterov momentum of SGD, or beta_1 of Adam.
        l2: adds ``l2 * sum(w**2)`` over conv and dense kernels (Keras convention: twice PyTorch's
            weight decay).
        weight_decay: decoupled: kernels are multiplied by ``1 - weight_decay * rate`` each step.
        self_supervision: ``rotation`` adds the six-way head to any method, or ``none``.
        joint_forward: whether labeled and unlabeled images go through the trunk in one call, normalized
            together, instead of one after the other.
        regularize_labeled: whether the labeled images of a step are also among its unlabeled ones.
        dropout: rate before the class head, in [0, 1).
        trunk_dropout: rate inside the trunk, in [0, 1).
        shift: largest shift in pixels along each axis.
        flip: whether the labeled branch mirrors images left-right.
        noise: standard deviation of the Gaussian noise, on the scale of the preprocessed images.
        strong_operations: how many operations of RandAugment a strong view goes through; see
            `sesemi.augmentation.randaugment.RandAugment` for these six.
        strong_level: part of its range that an operation takes, in [0, 1], or ``"random"``.
        strong_probability: with which an operation that was drawn is applied.
        cutout: side of Cutout's square, as a part of the image's; 0: none.
        cutout_side: ``random``, up to `cutout`, or ``fixed``.
        strong_fill: grey of Cutout and of what comes from outside of an image, in 0 … 255.
        gcn_scale: norm of an image after global contrast normalization.
        zca: whether images are whitened.
        zca_ridge: added to the diagonal of the covariance.
        exclude_labeled: whether the unlabeled pool leaves the labeled images out.
        promote: which unlabeled images become labeled on the way: ``none``, those above a ``threshold``, or the
            same number of every class (``balanced``).
        promote_threshold: least confidence for ``threshold``.
        promote_fraction: ``balanced`` promotes ``promote_fraction * N / C`` of each of C classes, N images being left.
        promote_from: epochs before the first promotion; default: half of them.
        promote_every: epochs between promotions; default: a twentieth of them.
        validation: fraction of the labeled images of each class held out to select the best epoch.
        views: 1, or 8 for the multi-view average at the end (4 where mirroring changes the class).
        precision: ``float32``, ``bfloat16`` or ``float16`` (compute; weights, logits and losses stay float32;
            under float16 the loss is scaled, and an update with a gradient that is not finite is left out).
        jit: XLA: ``auto`` (with a GPU), ``on`` or ``off``.
        data_dir: folder of the data set's files, or None.
        memory_limit: MiB of images that may lie in memory; more are read from their files while training.
        output: folder of all runs.
        name: folder of this run in `output`.
        gpu: CUDA_VISIBLE_DEVICES, or ``cpu``; several GPUs, with commas, share every batch.
        replicas_cpu: as how many devices the CPU is used, for tests of what several GPUs would do.
        workers: ``HOST:PORT`` of all processes that share the run, with commas, or None.
        worker: which of them this is, from 0; worker 0 writes the run folder.
        sync_batch_norm: whether several devices normalize their images together, by BatchNorm.
        steps_per_execution: updates that TensorFlow makes without coming back to Python.
        tensorboard: whether to write TensorBoard logs into the run folder.
        quiet: whether to print only errors and the last line.
    """

    method: str
    arguments: dict
    network: str
    dataset: str
    labels: int | str
    labels_from: str | None
    labels_file: str | None
    strict: bool
    image_size: int
    resize: str
    extra: int | None
    extra_source: str | None
    seed: int
    epochs: int
    steps_per_epoch: int | None
    batch_size: int
    labeled_batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    learning_rate_power: float
    momentum: float
    l2: float
    weight_decay: float
    self_supervision: str
    joint_forward: bool
    regularize_labeled: bool
    dropout: float
    trunk_dropout: float
    shift: int
    flip: bool
    noise: float
    strong_operations: int
    strong_level: float | str
    strong_probability: float
    cutout: float
    cutout_side: str
    strong_fill: int
    gcn_scale: float
    zca: bool
    zca_ridge: float
    exclude_labeled: bool
    promote: str
    promote_threshold: float
    promote_fraction: float
    promote_from: int
    promote_every: int
    validation: float
    views: int
    precision: str
    jit: str
    data_dir: str | None
    memory_limit: int
    output: str
    name: str
    gpu: str
    replicas_cpu: int
    workers: str | None
    worker: int | None
    sync_batch_norm: bool
    steps_per_execution: int
    tensorboard: bool
    quiet: bool

    def __post_init__(self):
        checks.check(self)

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return Path(self.output) / self.name

    @property
    def total_steps(self) -> int:
        """Updates of the whole run; needs ``steps_per_epoch``."""
        return self.epochs * self.steps_per_epoch

    def replace(self, **changes) -> "RunConfig":
        """A copy with some values changed, checked again."""
        return dataclasses.replace(self, **changes)

    def identity(self) -> dict[str, Any]:
        """All values that the numbers of the run depend on."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in PLACEMENT}


Origins = dict[str, str]


def resolve(given: dict[str, Any], inherited: Origins | None = None) -> tuple[RunConfig, Origins]:
    """Fill what the user did not say from the presets.

    Args:
        given: values that the user set, by field name of `RunConfig`; or ``labels_per_class`` in place of ``labels``.
        inherited: the origins of those of them that are from another run's ``config.json``.

    Returns:
        The configuration, and for every field where its value comes from, such as ``"user"`` or
        ``"paper: Tran 2019 …"``.

    Raises:
        InputError: an unknown name, or a value of the wrong type or out of range.
    """
    inherited, given = inherited or {}, dict(given)
    per_class = given.pop("labels_per_class", None)
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    for name in given:
        if name not in fields:
            raise InputError(f"unknown setting {name!r}; known are {', '.join(sorted(fields))}")
    values: dict[str, Any] = {"method": "sesemi", "network": None, "dataset": "digits"}
    values.update({k: given[k] for k in values if given.get(k) is not None})
    for name in ("method", "dataset"):
        checks.check_choice(name, values[name])
    values["network"] = values["network"] or presets.network(values["method"], values["dataset"])
    checks.check_choice("network", values["network"])
    if per_class is not None:
        given["labels"] = _labels_of_all_classes(per_class, values["dataset"], given.get("labels"))
    origins = {name: "user" if given.get(name) is not None else "default" for name in values}
    preset = presets.settings(values["method"], values["dataset"], values["network"])
    for name, setting in preset.items():
        values[name], origins[name] = setting.value, f"{setting.origin}: {setting.source}"
    for name, value in {
        "seed": 0,
        "data_dir": None,
        "memory_limit": 4096,
        "output": "runs",
        "name": None,
        "gpu": "0",
        "replicas_cpu": 1,
        "workers": None,
        "worker": None,
        "sync_batch_norm": False,
        "steps_per_execution": 1,
        "tensorboard": False,
        "quiet": False,
    }.items():
        values[name], origins[name] = value, "default"
    own = presets.arguments(values["method"], values["dataset"], values["network"])
    values["arguments"], origins["arguments"] = {name: setting.value for name, setting in own.items()}, "see below"
    origins |= {f"arguments.{name}": f"{setting.origin}: {setting.source}" for name, setting in own.items()}
    for name, value in given.items():
        if name == "arguments":
            values[name] = values[name] | (value or {})
            for argument in value or {}:
                origins[f"arguments.{argument}"] = inherited.get(f"arguments.{argument}", "user")
        elif value is not None:
            values[name], origins[name] = value, inherited.get(name, "user")
    checks.check_use(values, origins)
    _fill_dependent(values, given)
    if values["labeled_batch_size"] is None and isinstance(values["batch_size"], int):
        # Tran 2019 draws as many labeled images as the other branch has views.
        values["labeled_batch_size"] = 6 * values["batch_size"]
    if values["name"] is None:
        values["name"] = _default_name(values, origins)
    return RunConfig(**values), origins


def _labels_of_all_classes(per_class: int, dataset: str, labels: int | str | None) -> int:
    if labels is not None:
        raise InputError(f"--labels-per-class {per_class}: says the same as --labels {labels}; leave one of them out")
    if per_class < 1:
        raise InputError(f"--labels-per-class {per_class}: must be 1 or more")
    classes = presets.DATASETS[presets.kind(dataset)].classes
    if classes is None:
        raise InputError(f"--labels-per-class {per_class}: the classes of {dataset} are not known yet; give --labels N")
    return per_class * classes


def _fill_dependent(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Defaults that are made of other settings."""
    if values["labels_from"] is not None:
        if given.get("labels") not in (None, "file"):
            raise InputError(f"--labels {given['labels']}: the file of --labels-from says how many; leave it out")
        values["labels"] = "file"
    if isinstance(values["epochs"], int):
        for name, part in (("promote_from", 2), ("promote_every", 20)):
            values[name] = max(values["epochs"] // part, 1) if values[name] is None else values[name]


def _default_name(values: dict[str, Any], origins: Origins) -> str:
    """The same command always gives the same name, and another command another one."""
    told = ("method", "network", "dataset", "labels", "seed")
    name = "{dataset}-{labels}-{network}-{method}-seed{seed}".format(**values)
    if values["dataset"] == "folder" and isinstance(values["data_dir"], str):
        name = f"{Path(values['data_dir']).resolve().name}-{name}"
    if checks.wants_extra(values):
        name += f"-extra{values['extra'] or 'all'}"
    name = re.sub(r"[^\w.+=@-]+", "-", name)
    others = {k: v for k, v in values.items() if origins.get(k) == "user" and k not in told and k not in PLACEMENT}
    others |= {k: v for k, v in values["arguments"].items() if origins[f"arguments.{k}"] == "user"}
    if others:
        name += "-" + hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8]
    return name


def cluster_of(text: str | None) -> tuple[list[str], int] | None:
    """What TF_CONFIG says of the processes that share a run.

    Args:
        text: of the variable, or None.

    Returns:
        ``HOST:PORT`` of all, the chief first, and which of them this is; None where there is but one.

    Raises:
        InputError: it is not what TensorFlow documents.
    """
    if not text:
        return None
    try:
        found = json.loads(text)
        cluster, task = found["cluster"], found["task"]
        chiefs, others = cluster.get("chief", []), cluster.get("worker", [])
        number = int(task["index"]) + {"chief": 0, "worker": len(chiefs)}[task["type"]]
        names = [*chiefs, *others]
        names[number]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"TF_CONFIG: {text!r} is not a cluster and a task ({error!r}); see docs/scaling.md") from error
    return (names, number) if len(names) > 1 else None


def to_json(config: RunConfig, origins: Origins) -> str:
    """The text of ``config.json``."""
    from sesemi import __version__

    settings = dataclasses.asdict(config)
    return json.dumps({"sesemi": __version__, "settings": settings, "origins": origins}, indent=2) + "\n"


def from_json(text: str) -> tuple[RunConfig, Origins]:
    """Read ``config.json``; the inverse of `to_json`.

    Raises:
        InputError: not the text of such a file.
    """
    try:
        document = json.loads(text)
        settings, origins = document["settings"], document["origins"]
        known = {field.name for field in dataclasses.fields(RunConfig)}
        if not isinstance(settings, dict) or set(settings) != known or not isinstance(origins, dict):
            raise KeyError("settings do not match")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"not a config.json of this version of sesemi ({error})") from error
    return RunConfig(**settings), origins


def read_settings(path: str | Path, given: dict[str, Any]) -> tuple[dict[str, Any], Origins]:
    """The settings of a ``config.json`` and their origins, as `resolve` takes them (for ``--config``).

    Left out are the placement (but for the folder of one's own pictures), and what a flag beside it makes obsolete.

    Args:
        path: of the file.
        given: what the user said beside it. With another method, data set or network the presets of the old one are
            left out too, and only what its user had set remains.

    Raises:
        InputError: the file is missing, or is not such a file.
    """
    try:
        config, origins = from_json(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"--config {path}: cannot be read ({error})") from error
    except InputError as error:
        raise InputError(f"--config {path}: {error}") from error
    settings = config.identity()
    if presets.kind(config.dataset) in presets.ANY_SIZE and given.get("dataset", config.dataset) == config.dataset:
        # Somebody's own pictures are nowhere else.
        settings["data_dir"] = config.data_dir
    other = {name for name in ("method", "dataset", "network") if given.get(name, settings[name]) != settings[name]}
    if other:
        settings = {
            k: v for k, v in settings.items() if origins.get(k) == "user" or k in ("method", "dataset", "network")
        }
        kept = {k: v for k, v in config.arguments.items() if origins.get(f"arguments.{k}") == "user"}
        settings["arguments"] = {} if "method" in other else kept
    for name in _obsolete(config, given, origins):
        settings.pop(name, None)
    if given.get("self_supervision", config.self_supervision) != config.self_supervision:
        settings["arguments"] = {k: v for k, v in settings["arguments"].items() if k != "rotation_weight"}
    settings = {k: v for k, v in settings.items() if k not in given or k == "arguments"}
    return settings, {k: v for k, v in origins.items() if k in settings or k.startswith("arguments.")}


def _obsolete(config: RunConfig, given: dict[str, Any], origins: Origins) -> set[str]:
    """Settings of a file that followed from others, which the user now changes."""
    found = set()
    if "labels_from" in given:
        found |= {"labels"}
    if "labels" in given or "labels_per_class" in given:
        found |= {"labels_from"}
    if "labels_per_class" in given:
        found |= {"labels"}
    if config.labels == "file":
        found |= {"labels"}
    if "epochs" in given:
        found |= {name for name in ("promote_from", "promote_every") if origins.get(name) != "user"}
    return found
