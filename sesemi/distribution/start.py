"""Start of TensorFlow, without the lines that it writes to a user's terminal."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def load_tensorflow(cpus: int = 1, workers: bool = False) -> None:
    """Import TensorFlow and start its devices.

    Args:
        cpus: Number of devices that the CPU appears as.
        workers: True if this process is one of several (TF_CONFIG); it then waits for the others.

    TF_CPP_MIN_LOG_LEVEL does not reach the lines that TensorFlow 2.21 writes before its logging is set up. So the
    stderr of the process goes to a file meanwhile. If the import fails, its lines are shown.
    """
    with stderr_aside():
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if cpus > 1:
            (cpu,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpus)
        if workers:
            from sesemi.primitives import replicas

            replicas.of_workers()
        tf.config.list_logical_devices()
        tf.zeros(()) + 0.0


@contextlib.contextmanager
def stderr_aside() -> Iterator[None]:
    """Hide lines that are written to the process's stderr inside this context; show them only if there is an error."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(before, aside.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
