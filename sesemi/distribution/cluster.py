"""TF_CONFIG: which processes share a run. Standard library only, before TensorFlow is loaded."""

import json
import os

from sesemi.errors import InputError
from sesemi.reading import json_value
from sesemi.terminal import one_line

_LARGEST_PORT = 65535


def cluster_of(text: str | None) -> tuple[list[str], int] | None:
    """Return the processes that share a run, as TF_CONFIG has them.

    Args:
        text: Text of the variable, or None.

    Returns:
        Addresses ``HOST:PORT`` of all, the chief first, and the number of this one; None if there is only one.

    Raises:
        InputError: If it is not what TensorFlow documents.
    """
    if not text:
        return None
    try:
        found = json_value(text)
        cluster, task = found["cluster"], found["task"]
        chiefs, others = cluster.get("chief", []), cluster.get("worker", [])
        number = int(task["index"]) + {"chief": 0, "worker": len(chiefs)}[task["type"]]
        names = [*chiefs, *others]
        names[number]
        ports = [int(name.rpartition(":")[2]) for name in names]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        why = f"{one_line(text)} is not a cluster and a task ({one_line(repr(error))})"
        raise InputError(f"TF_CONFIG: {why}; see docs/scaling.md") from error
    if not 0 < min(ports) <= max(ports) <= _LARGEST_PORT:
        raise InputError(f"TF_CONFIG: {one_line(text)} has a port that does not lie from 1 to {_LARGEST_PORT}")
    return (names, number) if len(names) > 1 else None


def announce(workers: str | None, worker: int | None) -> tuple[list[str], int] | None:
    """Say in TF_CONFIG which processes share the run. This has to happen before TensorFlow is loaded.

    Args:
        workers: ``HOST:PORT`` of all processes, with commas; None leaves TF_CONFIG as it is.
        worker: Number of this process.

    Returns:
        Addresses of all, and the number of this one; None for a run of one process.
    """
    if workers is not None:
        cluster, task = {"worker": workers.split(",")}, {"type": "worker", "index": worker}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return cluster_of(os.environ.get("TF_CONFIG"))
