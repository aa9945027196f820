"""The machine, as far as it can be known before TensorFlow is loaded."""

import os
from pathlib import Path

# Of Linux, and of Linux inside Windows (WSL2).
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/usr/lib/wsl/lib/nvidia-smi"))


def has_gpu(gpu: str | None = None) -> bool:
    """Return whether a run may use an NVIDIA GPU: its driver is there, and nothing hides it.

    Args:
        gpu: Value of the setting of that name; None if nobody gave it.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") and gpu is None
    return gpu != "cpu" and not hidden and any(driver.exists() for driver in _DRIVERS)
