"""Plan of a run: a line that says what will run, the time of a step, and the memory."""

import time

import numpy as np
import psutil

from sesemi.assembly.build import batches
from sesemi.assembly.materials import Materials
from sesemi.training.model import SemiSupervisedModel

_TIMED_STEPS, _TIMED_S = 20, 5.0


def plan(materials: Materials) -> str:
    """Return one line that says what will run."""
    config, split = materials.config, materials.split
    others = f"{len(materials.pool)}" + (f" and {len(materials.extra_pool)} extra" if materials.data.extra else "")
    return (
        f"{config.method} on {config.dataset}: {len(split.labeled)} labeled and {others} in the other "
        f"pool, {config.network}; {config.epochs} epochs x {materials.steps_per_epoch} steps x "
        f"{materials.images_per_step} images; {config.run_dir}"
    )


def time_step(model: SemiSupervisedModel, materials: Materials, steps: int | None = None) -> float:
    """Return the seconds of a training step, the median of a few after the first. The model's weights change.

    Args:
        model: Compiled model.
        materials: Materials that it is made from.
        steps: Number of steps to time; default: as many as take a few seconds.
    """
    config, limit = materials.config, _TIMED_S if steps is None else float("inf")
    steps = (steps or min(_TIMED_STEPS, materials.total_steps)) + 1
    iterator = iter(batches(materials, 0, steps * config.steps_per_execution))
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
    """Return the largest resident size of this process so far, in MiB."""
    memory = psutil.Process().memory_info()
    # psutil knows the peak on Windows; elsewhere the standard library does.
    if hasattr(memory, "peak_wset"):
        return memory.peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if psutil.MACOS else 2**10)
