"""Environment of a run: versions, commit, machine, devices."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import tensorflow as tf

_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "matplotlib")


def versions() -> dict[str, str]:
    """Return the versions of sesemi and of the packages that it is built on."""
    from sesemi import __version__

    return {"sesemi": __version__, **{package: metadata.version(package) for package in _PACKAGES}}


def environment() -> dict[str, Any]:
    """Return the content of ``environment.json``."""
    root = Path(__file__).parents[2]
    commit = None
    if (root / ".git").exists() and shutil.which("git"):
        git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
        commit = git.stdout.strip() or None
    return {
        "command": sys.argv,
        "versions": versions(),
        "commit": commit,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        # Sums in another order round differently, so another number of threads gives other bits.
        "threads": {name: os.environ.get(name) for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")},
        "devices": [device.name for device in tf.config.list_physical_devices()],
    }
