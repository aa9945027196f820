"""A look before training: every value with its origin, a time estimate, and what each branch sees."""

import importlib.util
from collections.abc import Iterator

import numpy as np

from sesemi.assembly.build import build_model
from sesemi.assembly.materials import gather
from sesemi.assembly.plan import peak_memory_mib, plan, time_step
from sesemi.assembly.preview import views_rows
from sesemi.config import Origins, RunConfig
from sesemi.distribution import devices
from sesemi.errors import InputError
from sesemi.files import lock, write
from sesemi.report import pictures
from sesemi.runs import alarms
from sesemi.terminal import human_time


def dry_run(config: RunConfig, origins: Origins) -> Iterator[str]:
    """Yield lines: first what will run, how large it is and how long a few real steps say it takes; then every value.

    Nothing is written, and no trained weight is kept.
    """
    strategy = devices.strategy(config)
    with strategy.scope():
        materials = gather(config)
    yield from materials.data.notes
    yield from (f"warning: {text}" for text in alarms.of_data(materials))
    # The whitening matrix takes seconds to fit, and its values do not change the time of a step.
    with strategy.scope():
        model = build_model(materials, fit_whitening=False)
        seconds = time_step(model, materials)
    total = human_time(seconds * materials.total_steps)
    yield plan(materials)
    yield f"about {materials.images_per_step / seconds:.0f} images/s, {total} without evaluation"
    yield f"trained weights: {sum(np.prod(v.shape) for v in model.trainable_variables):,}"
    yield f"devices that share a step: {strategy.num_replicas_in_sync}"
    streams = materials.pixels is not None and materials.pixels.fetch is not None
    where = "on the device" if not streams else "read from their files (see `memory_limit`)"
    yield f"training images {where}: {materials.data.train_images.nbytes / 2**20:.0f} MiB"
    yield f"peak memory so far: {peak_memory_mib():.0f} MiB"
    yield ""
    yield from _values(materials.recorded, origins)


def _values(config: RunConfig, origins: Origins) -> Iterator[str]:
    values = config.values()
    arguments = {f"arguments.{name}": value for name, value in values.pop("arguments").items()}
    width = max(map(len, [*values, *arguments]))
    for name, value in {**values, **arguments}.items():
        yield f"{name:<{width}}  {value!s:<24}  {origins.get(name, 'default: of the method')}"


def preview(config: RunConfig) -> str:
    """Write the picture of what each branch sees into the run folder, and return a line that says where it is."""
    materials = gather(config)
    model = build_model(materials, fit_whitening=True)
    with lock(config.run_dir):
        path = config.run_dir / "preview.png"
        write(path, pictures.views_grid(views_rows(materials, model), materials.data.class_names))
    return f"preview: {path}"


def require_tensorboard() -> None:
    """Refuse the setting ``tensorboard`` where TensorFlow cannot write its files.

    Raises:
        InputError: The package is not installed; TensorFlow no longer brings it along.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("the package is not installed", setting="tensorboard", cure="pip install tensorboard")
