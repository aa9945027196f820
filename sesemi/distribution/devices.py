"""Devices that share a run: from the flags to a strategy, or one line that says why not."""

import tensorflow as tf

from sesemi.config import RunConfig
from sesemi.config.checks import wants_extra
from sesemi.config.sections import MachineSettings
from sesemi.distribution import workers
from sesemi.errors import InputError
from sesemi.primitives import replicas


def strategy(config: RunConfig) -> tf.distribute.Strategy:
    """Return the strategy of a run; the default one for a single device.

    Raises:
        InputError: If there are not as many devices as the flags say, or the batches do not divide by their number.
    """
    found = replicas.of_workers() if workers.addresses() else replicas.on_devices(_names(config))
    count = found.num_replicas_in_sync
    check_batches(config, count)
    if config.jit == "on" and count > 1:
        raise InputError(
            f"XLA compiles a step for one device, not the exchange between {count}",
            setting="jit",
            value="on",
            cure="leave it out",
        )
    return found


def misses_its_gpu(config: MachineSettings) -> bool:
    """Return whether a run that asks for one GPU will be on the CPU, because TensorFlow sees none."""
    asks = config.gpu != "cpu" and "," not in config.gpu and config.replicas_cpu == 1
    return asks and not tf.config.list_physical_devices("GPU")


def _names(config: MachineSettings) -> list[str]:
    if config.replicas_cpu > 1:
        there = len(tf.config.list_logical_devices("CPU"))
        if there < config.replicas_cpu:
            raise InputError(
                f"TensorFlow was started with {there}",
                setting="replicas_cpu",
                value=config.replicas_cpu,
                cure=(
                    f"call sesemi.distribution.start.start_tensorflow(cpus={config.replicas_cpu}) before else uses it"
                ),
            )
        return [f"CPU:{i}" for i in range(config.replicas_cpu)]
    wanted = config.gpu.split(",")
    if len(wanted) == 1:
        return ["the default device"]
    there = len(tf.config.list_logical_devices("GPU"))
    if there < len(wanted):
        raise InputError(
            f"TensorFlow sees {there or 'no'} of these GPUs here",
            setting="gpu",
            value=config.gpu,
            cure=f"name those that there are, or `replicas_cpu={len(wanted)}` to try it without",
        )
    return [f"GPU:{i}" for i in range(len(wanted))]


def check_batches(config: RunConfig, count: int) -> None:
    """Refuse batches that cannot be shared out evenly.

    Args:
        config: Settings of the run.
        count: Number of devices that share a step.

    Raises:
        InputError: If they cannot; the message has the nearest sizes that can.
    """
    for name in ("batch_size", "labeled_batch_size"):
        size = getattr(config, name)
        extra = name == "batch_size" and wants_extra(config.extra, config.extra_source)
        # Half of the unlabeled images of each device are extra ones.
        step = 2 * count if extra else count
        if size % step:
            below, above = size // step * step, (size // step + 1) * step
            better = f"{below} or {above}" if below else str(above)
            halves = ", half of them with extra images" if extra else ""
            raise InputError(
                f"does not divide by {count} devices{halves}", setting=name, value=size, cure=f"use {better}"
            )
