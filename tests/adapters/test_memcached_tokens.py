"""Tokens in memcached: a real one where there is one, and servers that do all the wrong things."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from pymemcache.client.base import Client
from support.fakes import drips, free_port, resets, scripted, sends, waits

from nova_image_shim.adapters.stores.memcached import Memcached
from nova_image_shim.adapters.stores.memcached_tokens import MemcachedTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.fakes import Peer, Step

KEY = "tokens/0123"
KEPT = f"nova-image-shim/{KEY}"
VALUE = b'{"token": {}}'


@pytest.fixture(scope="module")
def memcached() -> Iterator[str]:
    """Return the address of a real memcached."""
    if shutil.which("memcached") is None:
        pytest.skip("memcached is not installed; run `apt-get install memcached`")
    port = free_port()
    user = ["-u", "nobody"]
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert time.monotonic() < deadline
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def raw(memcached: str) -> Iterator[Client]:
    """Return somebody else's client of the same memcached."""
    with contextlib.closing(Client(memcached, default_noreply=False)) as client:
        yield client


@pytest.fixture
def open_tokens() -> Iterator[Callable[..., MemcachedTokens]]:
    """Return what opens a cache that is closed when the test ends."""
    with contextlib.ExitStack() as stack:

        def open_(*servers: str, secret: bytes = b"secret", **more: float) -> MemcachedTokens:
            memcached = Memcached(servers, **more)
            stack.callback(memcached.close)
            return MemcachedTokens(memcached, secret)

        yield open_


def test_what_one_process_keeps_another_finds(
    memcached: str, open_tokens: Callable[..., MemcachedTokens]
) -> None:
    open_tokens(memcached).set(KEY, VALUE, 60)
    assert VALUE == open_tokens(memcached).get(KEY)


def test_the_keys_of_other_services_are_let_alone(
    memcached: str, raw: Client, open_tokens: Callable[..., MemcachedTokens]
) -> None:
    raw.set("tokens/shared", b"of Glance's own auth_token")
    tokens = open_tokens(memcached)
    assert tokens.get("tokens/shared") is None
    tokens.set("tokens/shared", VALUE, 60)
    assert b"of Glance's own auth_token" == raw.get("tokens/shared")


def test_nothing_is_found_under_another_key_or_after_its_time(
    memcached: str, open_tokens: Callable[..., MemcachedTokens]
) -> None:
    tokens = open_tokens(memcached)
    assert tokens.get("tokens/none") is None
    tokens.set("tokens/short", VALUE, 1)
    assert VALUE == tokens.get("tokens/short")
    time.sleep(2.1)  # memcached's clock ticks once a second
    assert tokens.get("tokens/short") is None


@pytest.mark.parametrize(
    "rubbish",
    [
        *(b"", b"x", VALUE, b"0" * 31, b"0" * 32 + VALUE, b"\x80\x04." * 100, b"\xff" * 9000),
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    ],
)
def test_rubbish_is_not_believed(
    rubbish: bytes, memcached: str, raw: Client, open_tokens: Callable[..., MemcachedTokens]
) -> None:
    tokens = open_tokens(memcached)
    for flags in (0, 1, 2, 3):  # of which python-memcached would unpickle one
        raw.set(KEPT, rubbish, flags=flags)
        assert tokens.get(KEY) is None
    tokens.set(KEY, VALUE, 60)
    assert VALUE == tokens.get(KEY)


def test_a_token_that_somebody_else_sealed_or_moved_is_not_believed(
    memcached: str, raw: Client, open_tokens: Callable[..., MemcachedTokens]
) -> None:
    tokens = open_tokens(memcached)
    open_tokens(memcached, secret=b"other").set(KEY, VALUE, 60)
    assert tokens.get(KEY) is None
    tokens.set("tokens/admin", VALUE, 60)
    raw.set(KEPT, raw.get("nova-image-shim/tokens/admin"))
    assert tokens.get(KEY) is None


def hears_a_line(peer: Peer) -> None:
    peer.sock.recv(2**16)


BROKEN: dict[str, list[Step]] = {
    "silent": [hears_a_line, waits()],
    "gone at once": [],
    "gone after the question": [hears_a_line],
    "reset": [hears_a_line, resets],
    "an error": [hears_a_line, sends(b"SERVER_ERROR out of memory\r\n"), waits()],
    "no memcached": [hears_a_line, sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), waits()],
    "binary": [hears_a_line, sends(bytes(range(256)) + b"\r\n" * 3), waits()],
    "a cut value": [hears_a_line, sends(b"VALUE nova-image-shim/tokens/0123 0 100\r\nabc")],
    "a value that stops": [
        hears_a_line,
        sends(b"VALUE nova-image-shim/tokens/0123 0 100\r\nabc"),
        waits(),
    ],
    "no length": [
        hears_a_line,
        sends(b"VALUE nova-image-shim/tokens/0123 0 x\r\nabc\r\nEND\r\n"),
        waits(),
    ],
    "another key": [hears_a_line, sends(b"VALUE other 0 3\r\nabc\r\nEND\r\n"), waits()],
    "words missing": [hears_a_line, sends(b"VALUE\r\n"), waits()],
    "drops": [hears_a_line, drips(b"VALUE nova-image-shim/tokens/0123 0 100\r\n", 0.8)],
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_server_that_misbehaves_is_let_alone_for_a_while(
    script: list[Step],
    caplog: pytest.LogCaptureFixture,
    open_tokens: Callable[..., MemcachedTokens],
) -> None:
    with scripted(*[script] * 50) as server:
        tokens = open_tokens(server.url.removeprefix("http://"))
        started = time.monotonic()
        for number in range(20):
            assert tokens.get(KEY) is None
            tokens.set(f"tokens/{number}", VALUE, 60)
        assert time.monotonic() - started < 2
    told = [record.getMessage() for record in caplog.records]
    assert 1 == len(told), told
    assert told[0].startswith("memcached at 127.0.0.1:")
    assert " failed and is let alone for 5 s: " in told[0]


def test_a_server_that_refuses_is_used_again_when_it_is_back(
    open_tokens: Callable[..., MemcachedTokens],
) -> None:
    port = free_port()
    tokens = open_tokens(f"127.0.0.1:{port}", pause_seconds=0.2)
    assert tokens.get(KEY) is None
    answers = [hears_a_line, sends(b"END\r\n")]
    with scripted(answers, bind=("127.0.0.1", port)) as server:
        assert tokens.get(KEY) is None
        assert 0 == server.connections
        time.sleep(0.3)
        assert tokens.get(KEY) is None
        assert 1 == server.connections


def test_without_one_server_the_keys_of_another_are_kept(
    memcached: str, open_tokens: Callable[..., MemcachedTokens]
) -> None:
    tokens = open_tokens(memcached, f"127.0.0.1:{free_port()}")
    keys = [f"tokens/{number}" for number in range(40)]
    for key in keys:
        tokens.set(key, VALUE, 60)
    found = [tokens.get(key) for key in keys]
    assert 5 < found.count(VALUE) < 35
    assert 40 == found.count(VALUE) + found.count(None)
