"""Look before training: the plan, every value with its origin, a time estimate, and what each branch sees."""

import importlib.util
import resource
import sys
import time

import numpy as np

from sesemi.assembly import build
from sesemi.config.run_config import Origins, RunConfig
from sesemi.distribution import devices
from sesemi.errors import InputError
from sesemi.primitives import rng, rotation
from sesemi.report import pictures
from sesemi.runs.checkpoints import lock
from sesemi.runs.progress import human_time
from sesemi.training.model import SemiSupervisedModel

_TIMED_STEPS, _TIMED_S = 20, 5.0
_SHOWN = 8


def plan(materials: build.Materials) -> str:
    """One line: what will run."""
    config, split = materials.config, materials.split
    others = f"{len(materials.pool)}" + (f" and {len(materials.extra_pool)} extra" if materials.data.extra else "")
    return (
        f"{config.method} on {config.dataset}: {len(split.labeled)} labeled and {others} in the other "
        f"pool, {config.network}; {config.epochs} epochs x {config.steps_per_epoch} steps x "
        f"{materials.images_per_step} images; {config.run_dir}"
    )


def dry_run(config: RunConfig, origins: Origins) -> None:
    """Print every resolved value with its origin, the size of the job, and a time estimate from a few real steps.

    Writes nothing and trains nothing that is kept.
    """
    strategy = devices.strategy(config)
    with strategy.scope():
        materials = build.gather(config)
    config = materials.config
    for note in materials.data.notes:
        print(note)
    settings = {**vars(config), **{f"arguments.{name}": value for name, value in config.arguments.items()}}
    width = max(map(len, settings))
    for name, value in settings.items():
        if name != "arguments":
            print(f"{name:<{width}}  {value!s:<24}  {origins.get(name, 'default: of the method')}")
    # The whitening matrix takes seconds to fit and its values do not change the time of a step.
    with strategy.scope():
        model = build.build_model(materials, fit_whitening=False)
        seconds = time_step(model, materials)
    total = seconds * config.total_steps
    print(plan(materials))
    print(f"trained weights: {sum(np.prod(v.shape) for v in model.trainable_variables):,}")
    print(f"devices that share a step: {strategy.num_replicas_in_sync}")
    where = "on the device" if materials.pixels.fetch is None else "read from their files (see --memory-limit)"
    print(f"training images {where}: {materials.data.train_images.nbytes / 2**20:.0f} MiB")
    print(f"peak memory so far: {peak_memory_mib():.0f} MiB")
    print(f"about {materials.images_per_step / seconds:.0f} images/s, {human_time(total)} without evaluation")


def time_step(model: SemiSupervisedModel, materials: build.Materials, steps: int | None = None) -> float:
    """Seconds of a training step, the median of a few after the first; the model's weights change.

    Args:
        model: compiled.
        materials: it is made of.
        steps: how many; default: as many as take a few seconds.
    """
    config, limit = materials.config, _TIMED_S if steps is None else float("inf")
    steps = (steps or min(_TIMED_STEPS, config.total_steps)) + 1
    iterator = iter(build.batches(materials, 0, steps * config.steps_per_execution))
    model.make_train_function()
    times: list[float] = []
    for _ in range(steps):
        began = time.perf_counter()
        float(model.train_function(iterator)["loss"])
        times.append(time.perf_counter() - began)
        if sum(times[1:]) > limit:
            break
    return float(np.median(times[1:] or times)) / config.steps_per_execution


def peak_memory_mib() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def preview(config: RunConfig) -> str:
    """Write the picture of what each branch sees into the run folder.

    Returns:
        A line that says where it is.
    """
    materials = build.gather(config)
    model = build.build_model(materials, fit_whitening=True)
    with lock(config.run_dir):
        path = config.run_dir / "preview.png"
        path.write_bytes(pictures.views_grid(views_rows(materials, model)))
    return f"preview: {path}"


def views_rows(materials: build.Materials, model: SemiSupervisedModel) -> list[tuple]:
    """Title and pictures, those of labeled images with their classes, for each branch of the first step's batch."""
    batch = model.pixels(next(iter(build.batches(materials, 0, 1))))
    views = model.views(batch, rng.Draws(model.seed, 0))
    names = [materials.data.class_names[label] for label in np.asarray(batch["labels"][:_SHOWN])]
    rows = [
        ("labeled images, raw", np.asarray(batch["labeled"][:_SHOWN]), names),
        ("labeled images as the class head sees them", np.asarray(views.labeled[:_SHOWN])),
    ]
    for kind, images in zip(model.method.views.also_labeled, views.also_labeled, strict=True):
        rows.append((f"labeled images, another view ({kind})", np.asarray(images[:_SHOWN])))
    if views.unlabeled:
        rows.append(("unlabeled images, raw", np.asarray(batch["unlabeled"][:_SHOWN])))
    for number, (kind, images) in enumerate(zip(model.method.views.unlabeled, views.unlabeled, strict=True), 1):
        if kind != "unflipped":
            rows.append((f"unlabeled images, view {number} ({kind})", np.asarray(images[:_SHOWN])))
            continue
        for i in range(min(2, len(images))):
            six = np.asarray(rotation.six_views(images[i : i + 1]))
            rows.append((f"image {i + 1} as the six-way head sees it: {', '.join(rotation.TRANSFORMS)}", six))
    return rows


def require_tensorboard() -> None:
    """Refuse ``--tensorboard`` where TensorFlow cannot write its files.

    Raises:
        InputError: the package is not installed; TensorFlow no longer brings it along.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard: the package is not installed; pip install tensorboard")
