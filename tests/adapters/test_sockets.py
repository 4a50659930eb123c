"""The socket whose time-outs the system keeps."""

import socket
from collections.abc import Iterator

import pytest

from nova_image_shim.adapters.http.sockets import TimedSocket


@pytest.fixture
def pair() -> Iterator[tuple[TimedSocket, socket.socket]]:
    """Return a socket with a time-out of 10 s, and its peer."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    timed = TimedSocket.of(ours)
    with timed, theirs:
        yield timed, theirs


def test_it_takes_over_the_connection(pair: tuple[TimedSocket, socket.socket]) -> None:
    ours, theirs = pair
    assert (10, True) == (ours.gettimeout(), ours.getblocking())
    ours.sendall(b"question")
    assert b"question" == theirs.recv(100)
    theirs.sendall(b"answer")
    assert b"answer" == ours.makefile("rb").read(6)
    ours.settimeout(None)
    assert ours.gettimeout() is None


@pytest.mark.live
@pytest.mark.parametrize("seconds", [0, 0.02])
def test_reads_and_writes_time_out(seconds: float, pair: tuple[TimedSocket, socket.socket]) -> None:
    ours, _ = pair
    ours.settimeout(seconds)
    assert ours.makefile("rb", buffering=0).readinto(bytearray(1)) is None
    with pytest.raises(TimeoutError):
        ours.sendall(b"x" * 2**24)
