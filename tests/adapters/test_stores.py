"""Stores: in the process, in a real memcached where there is one, and on servers that misbehave."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymemcache.client.base import Client
from support.live import free_port
from support.memcached import real_memcached
from support.peers import Peer, Step, drips, resets, scripted, sends, waits

from adapters.timing import Clock
from nova_image_shim.adapters.address import memcached_server
from nova_image_shim.adapters.stores.memcached import Memcached
from nova_image_shim.adapters.stores.process import ProcessStore
from nova_image_shim.adapters.stores.signed import SignedStore, shared_secret

KEY = "tokens/0123"
KEPT = f"nova-image-shim/{KEY}"
VALUE = b'{"token": {}}'


@pytest.fixture(scope="module")
def memcached() -> Iterator[str]:
    """Return the address of a real memcached."""
    with real_memcached() as address:
        yield address


@pytest.fixture
def raw(memcached: str) -> Iterator[Client]:
    """Return somebody else's client of the same memcached."""
    with contextlib.closing(Client(memcached, default_noreply=False)) as client:
        yield client


@pytest.fixture
def open_store() -> Iterator[Callable[..., SignedStore]]:
    """Return a function that opens a store, which is closed when the test ends."""
    with contextlib.ExitStack() as stack:

        def open_(
            *servers: str, secret: bytes = b"secret", clock: Clock | None = None
        ) -> SignedStore:
            addresses = [memcached_server(server) for server in servers]
            memcached = Memcached(addresses, timeout_seconds=0.1, clock=clock or Clock())
            stack.callback(memcached.close)
            return SignedStore(memcached, secret, clock or Clock())

        yield open_


def test_a_process_store_keeps_values_for_their_time_and_within_its_bound() -> None:
    clock = Clock()
    store = ProcessStore(12, clock)
    assert store.set("a", b"12345", 2)
    assert [False, True] == [store.add("a", b"x", 9), store.add("b", b"67890", 9)]
    assert [b"12345", b"67890", None] == [store.get("a"), store.get("b"), store.get("c")]
    clock.now += 2
    assert [None, b"67890"] == [store.get("a"), store.get("b")]
    assert store.set("c", b"12345678901", 9)  # the bound is that of keys and values
    assert not store.set("d", b"123456789012", 9)
    assert not store.add("d", b"123456789012", 9)
    assert [None, b"12345678901", None] == [store.get("b"), store.get("c"), store.get("d")]


def test_one_process_finds_what_another_has_stored(
    memcached: str, open_store: Callable[..., SignedStore]
) -> None:
    one, other = open_store(memcached), open_store(memcached)
    one.set(KEY, VALUE, 60)
    assert VALUE == other.get(KEY)
    assert [True, False] == [one.add("first", b"1", 60), other.add("first", b"2", 60)]
    assert b"1" == other.get("first")


def test_a_memcached_may_listen_on_a_socket_in_the_file_system(
    open_store: Callable[..., SignedStore], tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with real_memcached(path) as address:
        store = open_store(address)
        assert store.set(KEY, VALUE, 60)
        assert VALUE == store.get(KEY)


def test_the_keys_of_other_services_are_not_touched(
    memcached: str, raw: Client, open_store: Callable[..., SignedStore]
) -> None:
    raw.set("tokens/shared", b"of Glance's own auth_token")
    store = open_store(memcached)
    assert store.get("tokens/shared") is None
    store.set("tokens/shared", VALUE, 60)
    assert b"of Glance's own auth_token" == raw.get("tokens/shared")


def test_a_value_is_not_used_beyond_its_time_however_long_memcached_keeps_it(
    memcached: str, raw: Client, open_store: Callable[..., SignedStore]
) -> None:
    clock = Clock()
    store = open_store(memcached, clock=clock)
    assert store.get("tokens/none") is None
    store.set(KEY, VALUE, 10)
    raw.touch(KEPT, 3600)
    found = []
    for seconds in (0, 9.9, 0.1, -16):  # the clock of the last reader is far behind
        clock.now += seconds
        found.append(store.get(KEY))
    assert [VALUE, VALUE, None, None] == found


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"x", VALUE, b"0" * 31, b"0" * 32 + VALUE, b"\x80\x04." * 100, b"\xff" * 9000),
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    ],
)
def test_a_value_without_a_signature_is_not_used(
    value: bytes, memcached: str, raw: Client, open_store: Callable[..., SignedStore]
) -> None:
    store = open_store(memcached)
    for flags in (0, 1, 2, 3):  # python-memcached would unpickle one of them
        raw.set(KEPT, value, flags=flags)
        assert store.get(KEY) is None
    store.set(KEY, VALUE, 60)
    assert VALUE == store.get(KEY)


def test_a_value_signed_with_another_secret_or_for_another_key_is_not_used(
    memcached: str, raw: Client, open_store: Callable[..., SignedStore]
) -> None:
    store = open_store(memcached)
    open_store(memcached, secret=b"other").set(KEY, VALUE, 60)
    assert store.get(KEY) is None
    store.set("tokens/admin", VALUE, 60)
    raw.set(KEPT, raw.get("nova-image-shim/tokens/admin"))
    assert store.get(KEY) is None


def test_the_shared_secret_is_that_of_one_service_user() -> None:
    own = ("p", "http://k/v3", "shim")
    others = [("q", *own[1:]), ("p", "http://l/v3", "shim"), ("p", "http://k/v3", "a"), ("p",)]
    assert shared_secret(*own) == shared_secret(*own)
    assert 5 == len({shared_secret(*one) for one in (own, *others)})


def hears_a_line(peer: Peer) -> None:
    peer.sock.recv(2**16)


FOUND = b"VALUE nova-image-shim/tokens/0123 0 "
BROKEN: dict[str, list[Step]] = {
    "silent": [hears_a_line, waits()],
    "gone at once": [],
    "gone after the question": [hears_a_line],
    "reset": [hears_a_line, resets],
    "an error": [hears_a_line, sends(b"SERVER_ERROR out of memory\r\n"), waits()],
    "no memcached": [hears_a_line, sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), waits()],
    "binary": [hears_a_line, sends(bytes(range(256)) + b"\r\n" * 3), waits()],
    "a cut value": [hears_a_line, sends(FOUND + b"100\r\nabc")],
    "a value that stops": [hears_a_line, sends(FOUND + b"100\r\nabc"), waits()],
    "no length": [hears_a_line, sends(FOUND + b"x\r\nabc\r\nEND\r\n"), waits()],
    "another key": [hears_a_line, sends(b"VALUE other 0 3\r\nabc\r\nEND\r\n"), waits()],
    "words missing": [hears_a_line, sends(b"VALUE\r\n"), waits()],
    "drops": [hears_a_line, drips(FOUND + b"100\r\n", 0.2)],
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_server_that_misbehaves_is_not_used_for_a_while(
    script: list[Step],
    caplog: pytest.LogCaptureFixture,
    open_store: Callable[..., SignedStore],
) -> None:
    with scripted(*[script] * 50) as server:
        store = open_store(server.url.removeprefix("http://"))
        for number in range(20):
            assert store.get(KEY) is None
            store.set(f"tokens/{number}", VALUE, 60)
        assert 1 == server.connections
    logged = [record.getMessage() for record in caplog.records]
    assert 1 == len(logged), logged
    assert logged[0].startswith("memcached at 127.0.0.1:")
    assert " failed and is not used for 5 s: " in logged[0]


def test_a_server_that_refuses_is_used_again_when_it_is_back(
    open_store: Callable[..., SignedStore],
) -> None:
    port, clock = free_port(), Clock()
    store = open_store(f"127.0.0.1:{port}", clock=clock)
    assert store.get(KEY) is None
    answers = [hears_a_line, sends(b"END\r\n")]
    with scripted(answers, bind=("127.0.0.1", port)) as server:
        assert store.get(KEY) is None
        assert 0 == server.connections
        clock.now += 5
        assert store.get(KEY) is None
        assert 1 == server.connections


def test_without_one_server_the_keys_of_another_are_kept(
    memcached: str, open_store: Callable[..., SignedStore]
) -> None:
    store = open_store(memcached, f"127.0.0.1:{free_port()}")
    keys = [f"tokens/{number}" for number in range(40)]
    for key in keys:
        store.set(key, VALUE, 60)
    found = [store.get(key) for key in keys]
    assert 5 < found.count(VALUE) < 35
    assert 40 == found.count(VALUE) + found.count(None)
