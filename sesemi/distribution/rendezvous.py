"""Rendezvous: wait, for a limited time, until all workers of a run are there.

TensorFlow would wait for an hour, deaf to Ctrl-C. Standard library only, because this runs before TensorFlow is loaded.
Nobody has to prove who he is: see docs/scaling.md.
"""

import contextlib
import errno
import selectors
import socket
import struct
import time
from collections.abc import Sequence

from sesemi.errors import InputError

_GREETING, _END = b"sesemi worker ", b"\n"
_PATIENCE_S = 5.0
# Connections that have not said who they are: how many are kept, and how much each may say.
_MOST_SILENT, _MOST_BYTES = 64, 64
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


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


def _place(address: str) -> tuple[str, int]:
    """Return host and port. An IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _listen(address: str) -> socket.socket:
    """Listen at the address alone: other networks of the machine are not served."""
    host, port = _place(address)
    try:
        (family, _, _, _, place), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(place, family=family, backlog=128)
    except OSError as error:
        why = "it is not one of this machine" if error.errno == errno.EADDRNOTAVAIL else error.strerror
        raise InputError(f"worker 0: cannot listen at port {port} of {host} ({why}); give another one") from error


class _Callers:
    """Connections to worker 0: of workers that said who they are, and of those that said nothing yet.

    No connection is waited for, so strangers, silent ones too, delay nobody.

    Args:
        listener: Socket that listens.
        count: Number of workers.
    """

    def __init__(self, listener: socket.socket, count: int):
        self._listener, self._count = listener, count
        self.workers: dict[int, socket.socket] = {}
        self.seen: set[int] = set()
        # The oldest first, with what each has said so far and until when it may.
        self._silent: dict[socket.socket, tuple[bytes, float]] = {}
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)

    @property
    def missing(self) -> set[int]:
        """Numbers of the workers that are not there."""
        return set(range(1, self._count)) - set(self.workers)

    def wait(self, seconds: float) -> None:
        """Hear what comes within some time, and send those away who say nothing for long."""
        for key, _ in self._selector.select(min(seconds, 1.0)):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._hear(key.fileobj)
        now = time.monotonic()
        for stranger in [s for s, (_, until) in self._silent.items() if until < now]:
            self._drop(stranger)

    def _accept(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                for stranger in list(self._silent):
                    self._drop(stranger)
                time.sleep(0.1)
            # Else it was gone before it was received.
            return
        if len(self._silent) >= _MOST_SILENT:
            self._drop(next(iter(self._silent)))
        caller.setblocking(False)
        self._silent[caller] = b"", time.monotonic() + _PATIENCE_S
        self._selector.register(caller, selectors.EVENT_READ)

    def _hear(self, caller: socket.socket) -> None:
        try:
            said = caller.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        before, until = self._silent.get(caller, (b"", 0.0))
        whole = before + said
        if not said or caller not in self._silent or len(whole) > _MOST_BYTES or not _may_greet(whole):
            # A worker that is gone, or says more, is not there; it may call again.
            self._drop(caller)
        elif whole.endswith(_END):
            number = int(whole.removeprefix(_GREETING))
            if 0 < number < self._count:
                del self._silent[caller]
                before = self.workers.pop(number, None)
                self.workers[number] = caller
                self.seen.add(number)
                if before is not None:
                    self._drop(before)
            else:
                self._drop(caller)
        else:
            self._silent[caller] = whole, until

    def _drop(self, caller: socket.socket) -> None:
        self._silent.pop(caller, None)
        self.workers = {number: other for number, other in self.workers.items() if other is not caller}
        self._selector.unregister(caller)
        # At once, else the port would be kept for a while, and here TensorFlow needs it.
        with contextlib.suppress(OSError):
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.close()

    def send_on(self) -> None:
        """Tell all workers to go on."""
        for caller in self.workers.values():
            # The side that closes first keeps the port for a while.
            with contextlib.suppress(OSError):
                caller.settimeout(_PATIENCE_S)
                caller.sendall(b"go")
                caller.recv(1)

    def close(self) -> None:
        """Let all connections go."""
        for caller in [*self._silent, *self.workers.values()]:
            self._drop(caller)
        self._selector.close()


def _may_greet(said: bytes) -> bool:
    """Return whether what a connection said is a worker's greeting, or the beginning of one."""
    if len(said) <= len(_GREETING):
        return _GREETING.startswith(said)
    return said.startswith(_GREETING) and said.removeprefix(_GREETING).removesuffix(_END).isdigit()


def _receive(addresses: Sequence[str], until: float, seconds: float) -> None:
    with _listen(addresses[0]) as listener, contextlib.closing(_Callers(listener, len(addresses))) as callers:
        while callers.missing:
            if time.monotonic() >= until:
                # Who came and waited in vain is not the one to look after.
                absent = callers.missing - callers.seen or callers.missing
                who = ", ".join(f"worker {n} ({addresses[n]})" for n in sorted(absent))
                cure = "start all with the same `workers`"
                raise InputError(f"{who} did not come within {seconds:.0f} s", cure=cure)
            callers.wait(_left(until))
        callers.send_on()


def _call(chief: str, number: int, until: float, seconds: float) -> None:
    while True:
        try:
            with socket.create_connection(_place(chief), timeout=_left(until)) as call:
                call.sendall(_GREETING + str(number).encode() + _END)
                if call.recv(2) == b"go":
                    return
        except OSError as error:
            if time.monotonic() >= until:
                why = f"did not answer within {seconds:.0f} s ({error})"
                raise InputError(f"worker 0 ({chief}) {why}", cure="start all with the same `workers`") from error
        time.sleep(min(0.2, _left(until)))


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)
