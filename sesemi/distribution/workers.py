"""Processes that share a run (`tf.distribute.MultiWorkerMirroredStrategy`): their numbers, and what all must know.

Worker 0 is the chief: it alone reads and writes the run folder, and tells the others where the run stands.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from sesemi.config.run_config import cluster_of
from sesemi.errors import InputError
from sesemi.primitives import replicas

# Errors that TensorFlow raises on the others when a worker is gone.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnknownError,
)


def addresses() -> list[str]:
    """Return ``HOST:PORT`` of all workers, the chief first; empty for a run of one process."""
    found = cluster_of(os.environ.get("TF_CONFIG"))
    return found[0] if found else []


def number() -> int:
    """Return the place of this process in `addresses`."""
    found = cluster_of(os.environ.get("TF_CONFIG"))
    return found[1] if found else 0


def is_chief() -> bool:
    """Return whether this process writes the run folder."""
    return number() == 0


def share(value: Any) -> list[Any]:
    """Return the values of all workers, in their order; wait until all have given one.

    Args:
        value: Value of this worker, for JSON.
    """
    if not addresses():
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8).astype(np.int32)
    lengths = _gathered(np.array([len(text)], np.int32))
    texts = _gathered(np.pad(text, (0, lengths.max() - len(text))))
    return [json.loads(bytes(row[:n].astype(np.uint8))) for row, n in zip(texts, lengths[:, 0], strict=True)]


def from_chief(values: np.ndarray) -> np.ndarray:
    """Return the chief's array, of the same shape and type on every worker."""
    if not addresses():
        return values
    # This takes a sum, and not a row for each worker, because tables of all images are large.
    return _on_all(lambda: replicas.total(tf.constant(values if replicas.number() == 0 else np.zeros_like(values))))


def _gathered(values: np.ndarray) -> np.ndarray:
    """Return the values of all workers, ``[workers, ...]``."""
    rows = _on_all(lambda: replicas.gather(tf.constant(values)[None]))
    return rows[:: len(replicas.of_workers().extended.worker_devices)]


def _on_all(exchange: Callable[[], tf.Tensor]) -> np.ndarray:
    strategy, logger = replicas.of_workers(), tf.get_logger()
    level = logger.level
    # TensorFlow would advise to compile this, which happens a few times a run.
    logger.setLevel("ERROR")
    try:
        found = strategy.run(exchange)
    finally:
        logger.setLevel(level)
    return strategy.experimental_local_results(found)[0].numpy()


def weights_from_chief(variables: Sequence[Any]) -> None:
    """Give the variables of a model, or of an optimizer, the chief's values."""
    if not addresses():
        return
    for dtype in sorted({variable.dtype for variable in variables}):
        same = [variable for variable in variables if variable.dtype == dtype]
        values = [variable.numpy() for variable in same]
        together = from_chief(np.concatenate([value.ravel() for value in values]))
        ends = np.cumsum([value.size for value in values])
        for variable, part, value in zip(same, np.split(together, ends[:-1]), values, strict=True):
            variable.assign(part.reshape(value.shape))


def same_for_all(own: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare what must agree.

    Args:
        own: ``error`` is a line, or None. ``code``, ``config`` (a dict) and ``data`` must be the same on all. The
            chief's ``data`` may be None, if it needs none.

    Returns:
        The `own` of every worker.

    Raises:
        InputError: On every worker, if one had an error, or they differ.
    """
    said = share(own)
    names = addresses()
    for i, worker in enumerate(said):
        if worker["error"]:
            where = "" if len(said) == 1 or i == number() else f"worker {i} ({names[i]}): "
            raise InputError(where + worker["error"])
    chief, *others = said
    for i, worker in enumerate(others, 1):
        who = f"worker {i} ({names[i]})"
        if worker["code"] != chief["code"]:
            raise InputError(f"{who}: runs other code or packages than worker 0; install the same on both")
        there, here = chief["config"], worker["config"]
        different = [f"{k} is {there[k]} on worker 0 and {here[k]} there" for k in there if there[k] != here.get(k)]
        if different:
            raise InputError(f"{who}: other settings ({'; '.join(different)}); give all workers the same flags")
        if chief["data"] is not None and worker["data"] != chief["data"]:
            raise InputError(f"{who}: other images or labels than worker 0; give all workers the same data")
    return said


def who_is_gone(error: tf.errors.OpError) -> str:
    """Return the other worker that TensorFlow names in an error of `LOST`, if it names one."""
    named = {int(n) for n in re.findall(r"/task:(\d+)", error.message)} - {number()}
    all_of_them = addresses()
    if len(all_of_them) == 2:
        named = {1 - number()}
    return " and ".join(f"worker {n} ({all_of_them[n]})" for n in sorted(named)) or "another worker"


def code_digest(versions: dict[str, str]) -> str:
    """Return the SHA-256 of this program's own files and of the packages' versions."""
    root, digest = Path(__file__).parents[2], hashlib.sha256(json.dumps(versions).encode())
    for folder in ("sesemi", "models", "datasets"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
