import socket
import threading
import time

import pytest

from sesemi.distribution.rendezvous import wait_for_all
from sesemi.errors import InputError


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


def test_a_stranger_does_not_count():
    names = addresses(2)
    thread = threading.Thread(target=given_up, args=(names, 0))
    thread.start()
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", int(names[0].rpartition(":")[2]))) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        thread.join(10)
    assert not thread.is_alive()
