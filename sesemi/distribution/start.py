"""Start of TensorFlow: in one place, and without the lines that it writes to a user's terminal."""

import os
import warnings

from sesemi.terminal import stderr_aside, tell


def start_tensorflow(gpu: str | None = None, *, cpus: int = 1, workers: bool = False) -> None:
    """Say what TensorFlow may see and print, import it, and start its devices.

    TF_CPP_MIN_LOG_LEVEL does not reach what TensorFlow 2.21 writes before its logging is set up, so the process's
    stderr goes to a file meanwhile. If the import fails, what it wrote is shown.

    Args:
        gpu: GPU that it may see, for CUDA_VISIBLE_DEVICES, or ``cpu`` for none; None leaves that as it is.
        cpus: Number of devices that the CPU appears as.
        workers: True if this process is one of several (TF_CONFIG). It then waits for the others.
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1" if gpu == "cpu" else gpu
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_aside():
        import tensorflow as tf

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            from sesemi import keras_settings as keras_settings

        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
        if cpus > 1:
            (cpu,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpus)
        if workers:
            from sesemi.primitives import replicas

            replicas.of_workers()
        tf.config.list_logical_devices()
        tf.zeros(()) + 0.0
    for warning in told:
        if issubclass(warning.category, UserWarning):
            tell(str(warning.message))
