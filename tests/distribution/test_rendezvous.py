import contextlib
import errno
import json
import socket
import threading
import time

import pytest

from sesemi.config import resolve
from sesemi.distribution.cluster import cluster_of
from sesemi.distribution.rendezvous import wait_for_all
from sesemi.errors import InputError
from tests.messages import refused


def addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return found


def test_nobody_goes_on_before_the_last_one_came_and_the_port_is_free_then():
    names, done = addresses(3), []

    def worker(number):
        wait_for_all(names, number, seconds=20)
        done.append(number)

    threads = [threading.Thread(target=worker, args=(number,)) for number in (2, 0)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert done == []
    worker(1)
    for thread in threads:
        thread.join(20)
    assert sorted(done) == [0, 1, 2]
    socket.create_server(("127.0.0.1", int(names[0].rpartition(":")[2]))).close()


def given_up(names, number):
    with pytest.raises(InputError):
        wait_for_all(names, number, seconds=1)


def test_those_who_do_not_come_are_named():
    names = addresses(3)
    caller = threading.Thread(target=given_up, args=(names, 1))
    caller.start()
    with pytest.raises(InputError, match=rf"^worker 2 \({names[2]}\) did not come within 1 s"):
        wait_for_all(names, 0, seconds=1)
    caller.join()


def test_a_chief_that_is_not_there_is_named():
    names = addresses(2)
    with pytest.raises(InputError, match=rf"^worker 0 \({names[0]}\) did not answer within 0 s"):
        wait_for_all(names, 1, seconds=0.3)


def test_a_port_in_use_is_one_line():
    with socket.create_server(("", 0)) as taken:
        name = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match="cannot listen at port"):
            wait_for_all([name, "127.0.0.1:1"], 0, seconds=1)


def strangers(name, count):
    host, _, port = name.rpartition(":")
    found = []
    with contextlib.suppress(OSError):
        for _ in range(count):
            found.append(socket.create_connection((host, int(port)), timeout=1))
    return found


def arrive(names, number, done):
    wait_for_all(names, number, seconds=20)
    done.append(number)


def test_silent_strangers_delay_nobody():
    names, done = addresses(2), []
    chief = threading.Thread(target=arrive, args=(names, 0, done))
    chief.start()
    time.sleep(0.3)
    silent = strangers(names[0], 100)
    began = time.monotonic()
    arrive(names, 1, done)
    chief.join(20)
    assert time.monotonic() - began < 2
    assert sorted(done) == [0, 1]
    for stranger in silent:
        stranger.close()
    socket.create_server(("127.0.0.1", int(names[0].rpartition(":")[2]))).close()


def test_more_strangers_than_descriptors_end_nothing(monkeypatch):
    names, done, refused = addresses(2), [], []
    real = socket.socket.accept

    def accept(self):
        if len(refused) < 3:
            refused.append(1)
            raise OSError(errno.EMFILE, "Too many open files")
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    chief = threading.Thread(target=arrive, args=(names, 0, done))
    chief.start()
    arrive(names, 1, done)
    chief.join(20)
    assert sorted(done) == [0, 1]
    assert len(refused) == 3


def test_a_worker_that_is_gone_again_is_waited_for():
    names, done = addresses(3), []
    chief = threading.Thread(target=arrive, args=(names, 0, done))
    chief.start()
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", int(names[0].rpartition(":")[2]))) as killed:
        killed.sendall(b"sesemi work")
        time.sleep(0.1)
        killed.sendall(b"er 1\n")
        time.sleep(0.2)
    other = threading.Thread(target=arrive, args=(names, 2, done))
    other.start()
    time.sleep(0.5)
    assert done == []
    arrive(names, 1, done)
    chief.join(20)
    other.join(20)
    assert sorted(done) == [0, 1, 2]


def test_it_listens_at_the_named_address_alone(monkeypatch):
    name, places, real = addresses(1)[0], [], socket.create_server
    monkeypatch.setattr(socket, "create_server", lambda place, **how: places.append(place) or real(place, **how))
    given_up([name, "127.0.0.1:1"], 0)
    assert places == [("127.0.0.1", int(name.rpartition(":")[2]))]
    with pytest.raises(InputError, match=r"port 5000 of 192\.0\.2\.1 \(it is not one of this machine\)"):
        wait_for_all(["192.0.2.1:5000", "127.0.0.1:1"], 0, seconds=1)


@pytest.mark.parametrize("port", [0, 65536, 10**9, "9" * 60])
def test_a_port_that_is_none_is_refused(port):
    given = {"workers": f"a:5000,b:{port}", "worker": 0}
    with refused(f"--workers .*the port of b:{port} must lie from 1 to 65535"):
        resolve(given)
    text = json.dumps({"cluster": {"worker": ["a:5000", f"b:{port}"]}, "task": {"type": "worker", "index": 0}})
    with refused("has a port that does not lie from 1 to 65535|is not a cluster and a task"):
        cluster_of(text)


def test_a_stranger_does_not_count():
    names = addresses(2)
    thread = threading.Thread(target=given_up, args=(names, 0))
    thread.start()
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", int(names[0].rpartition(":")[2]))) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        thread.join(10)
    assert not thread.is_alive()
