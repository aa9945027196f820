"""Rendezvous: wait, for a limited time, until all workers of a run are there.

TensorFlow would wait for an hour, deaf to Ctrl-C. Standard library only, because this runs before TensorFlow is loaded.
"""

import contextlib
import socket
import time
from collections.abc import Sequence

from sesemi.errors import InputError

_GREETING = b"sesemi worker "
_PATIENCE_S = 5.0


def wait_for_all(addresses: Sequence[str], number: int, *, seconds: float = 600.0) -> None:
    """Wait for all workers: worker 0 listens at its address until every other one has called; then all go on.

    Args:
        addresses: ``HOST:PORT`` of each worker.
        number: Number of this worker.
        seconds: Longest time to wait, in seconds.

    Raises:
        InputError: If some did not come, or the address is not this machine's or in use.
    """
    until = time.monotonic() + seconds
    if number == 0:
        _receive(addresses, until, seconds)
    else:
        _call(addresses[0], number, until, seconds)


def _receive(addresses: Sequence[str], until: float, seconds: float) -> None:
    port = int(addresses[0].rpartition(":")[2])
    missing, callers = set(range(1, len(addresses))), []
    try:
        listener = socket.create_server(("", port))
    except OSError as error:
        raise InputError(f"worker 0: cannot listen at port {port} ({error.strerror}); give another one") from error
    with listener:
        try:
            while missing:
                listener.settimeout(_left(until))
                caller, _ = listener.accept()
                callers.append(caller)
                missing.discard(_who(caller))
            for caller in callers:
                # The side that closes first keeps the port for a while, and here TensorFlow needs it.
                with contextlib.suppress(OSError):
                    caller.sendall(b"go")
                    caller.recv(1)
        except TimeoutError as error:
            who = ", ".join(f"worker {n} ({addresses[n]})" for n in sorted(missing))
            raise InputError(
                f"{who} did not come within {seconds:.0f} s", cure="start all with the same `workers`"
            ) from error
        finally:
            for caller in callers:
                caller.close()


def _who(caller: socket.socket) -> int:
    """Return the number that a worker says; 0 for a stranger."""
    caller.settimeout(_PATIENCE_S)
    try:
        said = caller.recv(64)
        return int(said.removeprefix(_GREETING)) if said.startswith(_GREETING) else 0
    except (OSError, ValueError):
        return 0


def _call(chief: str, number: int, until: float, seconds: float) -> None:
    host, _, port = chief.rpartition(":")
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=_left(until)) as call:
                call.sendall(_GREETING + str(number).encode())
                if call.recv(2) == b"go":
                    return
        except OSError as error:
            if time.monotonic() >= until:
                why = f"did not answer within {seconds:.0f} s ({error})"
                raise InputError(f"worker 0 ({chief}) {why}", cure="start all with the same `workers`") from error
        time.sleep(min(0.2, _left(until)))


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)
