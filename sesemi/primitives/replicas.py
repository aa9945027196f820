"""Exchange between the devices that share a step (`tf.distribute`).

Every replica holds the whole state and makes the same updates to it. Gradients are added up and BatchNorm's averages
are averaged. The memory of a method is computed from the rows of all replicas. With one device each function here gives
back what it was given.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf


def count() -> int:
    """Return the number of devices that share a step, over all workers."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def number() -> int:
    """Return the number of the device that this code runs for, from 0; outside of a step 0."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def devices() -> tuple[str, ...]:
    """Return the devices of this worker, in the order of their replicas."""
    return tuple(tf.distribute.get_strategy().extended.worker_devices)


def own(values: Sequence[Any]) -> Any:
    """Return the value of this replica, from one value for each of this worker's devices."""
    return values[number() % len(values)]


def several_workers() -> bool:
    """Return whether the devices are spread over several processes."""
    return count() > 1 and count() > len(devices())


def gather(rows):
    """Return the rows of all replicas, ``[R N, ...]``, without gradient.

    They come in the order of the replicas, which is that of the global batch.

    Args:
        rows: ``[N, ...]``, the rows of this replica, of the same shape on each.
    """
    rows = tf.stop_gradient(tf.convert_to_tensor(rows))
    if count() == 1:
        return rows
    if rows.dtype == tf.bool:
        return tf.cast(gather(tf.cast(rows, tf.int32)), tf.bool)
    everyone = tf.distribute.get_replica_context().all_gather(rows, axis=0)
    return tf.ensure_shape(everyone, [rows.shape[0] * count(), *rows.shape[1:]])


def mean(value):
    """Return the mean over the replicas of a float tensor or a list of them, with its gradient."""
    return _reduced(tf.distribute.ReduceOp.MEAN, value)


def total(value):
    """Return the sum over the replicas of a float tensor or a list of them, with its gradient."""
    return _reduced(tf.distribute.ReduceOp.SUM, value)


def _reduced(how, value):
    return value if count() == 1 else tf.distribute.get_replica_context().all_reduce(how, value)


def on_devices(names: Sequence[str]) -> tf.distribute.Strategy:
    """Return the strategy for the devices of this process, such as ``["GPU:0", "GPU:1"]``; for one, the default."""
    if len(names) == 1:
        return tf.distribute.get_strategy()
    # On the CPU, TensorFlow would confuse the collectives of two strategies in one process.
    how = tf.distribute.ReductionToOneDevice() if all("CPU" in name for name in names) else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=how)


@functools.cache
def of_workers() -> tf.distribute.Strategy:
    """Return the strategy for all devices of all processes of TF_CONFIG.

    It has to be made before TensorFlow does anything else.
    """
    return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def scope(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Make models for `strategy` inside this context.

    Untrained variables are then kept on each device, and are equal on all. Otherwise TensorFlow would send each such
    variable around whenever it changes, tables of all images included.
    """
    # Keras says at creation whether it trains a variable. Without this, Keras' metrics would be added up over the
    # replicas.
    with strategy.scope(), _kept_on_each(lambda how: not how.get("trainable", True)):
        yield


def scale_scope() -> contextlib.AbstractContextManager:
    """Build an optimizer of the current strategy inside this context.

    The scale of its loss is then kept like an untrained variable, see `scope`.
    """
    return _kept_on_each(lambda how: how.get("name") in ("step_counter", "dynamic_scale"))


def _kept_on_each(which: Callable[[dict[str, Any]], bool]) -> contextlib.AbstractContextManager:
    def creator(following, **how):
        if which(how):
            how["synchronization"] = tf.VariableSynchronization.ON_READ
            how["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return following(**how)

    return tf.variable_creator_scope(creator) if count() > 1 else contextlib.nullcontext()
