"""One step on several devices (`tf.distribute`): what a replica learns of the others.

Every replica holds the whole state and makes the same updates to it: gradients are added up, BatchNorm's averages
averaged, and what methods remember is computed from all replicas' rows. With one device each function here gives
back what it was given.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf


def count() -> int:
    """How many devices share a step, over all workers."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def number() -> int:
    """Which of them this code runs for, from 0; 0 outside of a step."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def devices() -> tuple[str, ...]:
    """The devices of this worker, by the order of their replicas."""
    return tuple(tf.distribute.get_strategy().extended.worker_devices)


def own(values: Sequence[Any]) -> Any:
    """That of `values`, one for each of this worker's devices, which belongs to this replica."""
    return values[number() % len(values)]


def several_workers() -> bool:
    """Whether the devices are spread over several processes."""
    return count() > 1 and count() > len(devices())


def gather(rows):
    """The rows of all replicas, ``[R N, ...]``, in their order, which is that of the global batch; without gradient.

    Args:
        rows: ``[N, ...]`` of this one, of the same shape on each.
    """
    rows = tf.stop_gradient(tf.convert_to_tensor(rows))
    if count() == 1:
        return rows
    if rows.dtype == tf.bool:
        return tf.cast(gather(tf.cast(rows, tf.int32)), tf.bool)
    everyone = tf.distribute.get_replica_context().all_gather(rows, axis=0)
    return tf.ensure_shape(everyone, [rows.shape[0] * count(), *rows.shape[1:]])


def mean(value):
    """The mean over the replicas of a float tensor or a list of them, with its gradient."""
    return _reduced(tf.distribute.ReduceOp.MEAN, value)


def total(value):
    """The sum over the replicas of a float tensor or a list of them, with its gradient."""
    return _reduced(tf.distribute.ReduceOp.SUM, value)


def _reduced(how, value):
    return value if count() == 1 else tf.distribute.get_replica_context().all_reduce(how, value)


def on_devices(names: Sequence[str]) -> tf.distribute.Strategy:
    """The strategy for several devices of this process, such as ``["GPU:0", "GPU:1"]``; for one the default one."""
    if len(names) == 1:
        return tf.distribute.get_strategy()
    # On the CPU, TensorFlow's collectives of two strategies in one process would take each other for the same.
    how = tf.distribute.ReductionToOneDevice() if all("CPU" in name for name in names) else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=how)


@functools.cache
def of_workers() -> tf.distribute.Strategy:
    """For all devices of all processes of TF_CONFIG; has to be made before TensorFlow does anything else."""
    return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def scope(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Inside, models are made for `strategy`: what is not trained is kept on each device, and equal on all.

    TensorFlow would otherwise send each such variable around whenever it changes, tables of all images included.
    """
    # Keras says which it trains when it makes them; Keras' metrics would be added up over the replicas.
    with strategy.scope(), _kept_on_each(lambda how: not how.get("trainable", True)):
        yield


def scale_scope() -> contextlib.AbstractContextManager:
    """Inside, an optimizer of the current strategy is built: the scale of its loss is like what is not trained."""
    return _kept_on_each(lambda how: how.get("name") in ("step_counter", "dynamic_scale"))


def _kept_on_each(which: Callable[[dict[str, Any]], bool]) -> contextlib.AbstractContextManager:
    def creator(following, **how):
        if which(how):
            how["synchronization"] = tf.VariableSynchronization.ON_READ
            how["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return following(**how)

    return tf.variable_creator_scope(creator) if count() > 1 else contextlib.nullcontext()
