"""Processes that share a run (`tf.distribute.MultiWorkerMirroredStrategy`): their numbers, and what all must know.

Worker 0 is the chief: it alone reads and writes the run folder, and tells the others where the run stands.
"""

import hashlib
import importlib.util
import json
import os
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from sesemi.distribution.cluster import cluster_of
from sesemi.errors import InputError
from sesemi.primitives import replicas

# Errors of TensorFlow where a worker is gone, where memory is not enough, and for many other reasons.
STOPPED_BY = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnknownError,
    tf.errors.ResourceExhaustedError,
)
# Words of TensorFlow's errors about other processes.
_OF_OTHERS = re.compile(r"/task:\d+|worker|peer|heartbeat|coordination|collective|connection|socket|RPC|barrier", re.I)
_PATIENCE_S = 2.0


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
    # A sum, and not a row a worker: tables of all images are large.
    return _on_all(lambda: replicas.total(tf.constant(values if replicas.number() == 0 else np.zeros_like(values))))


def _gathered(values: np.ndarray) -> np.ndarray:
    """Return the values of all workers, ``[workers, ...]``."""
    rows = _on_all(lambda: replicas.gather(tf.constant(values)[None]))
    return rows[:: len(replicas.of_workers().extended.worker_devices)]


def _on_all(exchange: Callable[[], tf.Tensor]) -> np.ndarray:
    strategy, logger = replicas.of_workers(), tf.get_logger()
    level = logger.level
    # The logger would advise to make a function of this, which happens a few times a run.
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


def same_for_all(error: InputError | None, own: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare what must agree.

    Args:
        error: Error that this worker's user has to cure, or None.
        own: ``code``, ``config`` (a dict) and ``data``, which must be the same. The chief's ``data`` may be None, if it
            needs none.

    Returns:
        Answers of all workers.

    Raises:
        InputError: If one worker had an error, or they differ. It is raised on every worker.
    """
    if error is not None and not addresses():
        raise error
    said = share({**own, "error": None if error is None else str(error)})
    names = addresses()
    if error is not None:
        raise error
    for i, worker in enumerate(said):
        if worker["error"]:
            raise InputError(f"worker {i} ({names[i]}): {worker['error']}")
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


def is_out_of_memory(error: tf.errors.OpError) -> bool:
    """Return whether a device had not enough memory."""
    return isinstance(error, tf.errors.ResourceExhaustedError)


def who_is_gone(error: tf.errors.OpError) -> str | None:
    """Return which other worker is gone, if that is why TensorFlow stopped.

    Args:
        error: One of `STOPPED_BY`.

    Returns:
        Its number and address, or "another worker"; None if the run has one process, or if the error does not speak of
        other processes and all of them answer.
    """
    names, own = addresses(), number()
    if not names:
        return None
    others = {n for n in range(len(names)) if n != own}
    silent = {n for n in others if not _answers(names[n])}
    if not silent and not _OF_OTHERS.search(error.message):
        return None
    named = others & {int(n) for n in re.findall(r"/task:(\d+)", error.message)}
    found = others if len(others) == 1 else silent or named
    return " and ".join(f"worker {n} ({names[n]})" for n in sorted(found)) or "another worker"


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True


def code_digest(versions: dict[str, str]) -> str:
    """Return the SHA-256 of this program's own modules and of the packages' versions.

    A module counts by its name, not by its place, so that a wheel and a checkout of the same code agree.

    Args:
        versions: Versions of the packages, by their names.
    """
    digest = hashlib.sha256(json.dumps(versions).encode())
    for name, path in sorted(_own_modules().items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _own_modules() -> dict[str, Path]:
    """Return the file of each module, by the name of the module."""
    found: dict[str, Path] = {}
    # In a checkout the last two lie beside `sesemi`, in an installed package in it.
    for package in ("sesemi", "sesemi.models", "sesemi.datasets"):
        spec = importlib.util.find_spec(package)
        found |= _modules_in(package, Path(spec.origin).parent)
    return found


def _modules_in(package: str, folder: Path) -> dict[str, Path]:
    found = {}
    for path in folder.iterdir():
        if path.suffix == ".py":
            found[package if path.stem == "__init__" else f"{package}.{path.stem}"] = path
        # A folder of data may lie beside the loaders.
        elif (path / "__init__.py").is_file():
            found |= _modules_in(f"{package}.{path.name}", path)
    return found
