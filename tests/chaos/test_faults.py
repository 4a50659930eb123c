"""Check every cell of the table: status, fault, duration, log line, and recovery."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import requests
from support.fakes import token_of
from support.live import Live, free_port, until
from support.peers import Peer, scripted, sends, waits

from .conftest import SECONDS, World
from .table import Cell, cells
from .upstream import Request, Trouble

SLACK_SECONDS = 1.5  # allowance for a loaded machine
WORDS = {"at once": 0.0, "half a second": 0.5}
FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    500: "computeFault",
    503: "serviceUnavailable",
}
ALL = ["i6", "i5", "i4", "i3", "i2", "i1"]
numbers = count()


@dataclass(frozen=True)
class Call:
    """A client's call, and the call to Glance that fails in it.

    Args:
        method, path, body: the client's request.
        good: the status without a fault.
        fails: returns whether a request to Glance is the one that fails.
        before: returns whether a request is the one before it, if there is one.
    """

    method: str
    path: str
    good: int
    fails: Callable[[Request], bool]
    before: Callable[[Request], bool] = lambda _request: False
    body: Any = None


def first(request: Request) -> bool:
    return request.target.startswith("/v2/images?") and "marker=" not in request.target


def second(request: Request) -> bool:
    return "marker=i5" in request.target


def third(request: Request) -> bool:
    return "marker=" in request.target and not second(request)


def is_(method: str) -> Callable[[Request], bool]:
    return lambda request: request.method == method


METADATA = {"metadata": {"os": "linux"}}
CALLS = {
    "list": Call("GET", "/images?limit=2", 200, first),
    "pages": Call("GET", "/images", 200, third, second),
    "show": Call("GET", "/images/i1", 200, is_("GET")),
    "delete": Call("DELETE", "/images/i1", 204, is_("DELETE")),
    "read": Call("POST", "/images/i1/metadata", 200, is_("GET"), body=METADATA),
    "write": Call("POST", "/images/i1/metadata", 200, is_("PATCH"), is_("GET"), body=METADATA),
}
WRITES = {"DELETE", "PATCH"}


def ask(live: Live, call: Call, project: str = "demo", token: str | None = None) -> Any:
    return requests.request(
        call.method,
        f"{live.url}/v2/{project}{call.path}",
        headers={"X-Auth-Token": token or token_of(project)},
        json=call.body,
        timeout=30,
    )


def lines_of(live: Live, answer: requests.Response) -> list[str]:
    """Return a request's log lines except its access line, which is the last one."""
    request_id = answer.headers["X-Compute-Request-Id"]

    def lines() -> list[str]:
        return [line for line in live.log.read_text().splitlines() if request_id in line]

    until(lambda: any(" nova_image_shim.access " in line for line in lines()))
    return [line for line in lines() if " nova_image_shim.access " not in line]


def check(cell: Cell, live: Live, answer: requests.Response) -> None:
    """Check a response against its cell."""
    assert cell.status == answer.status_code, answer.text
    assert cell.retry_after == answer.headers.get("Retry-After")
    bound = WORDS.get(cell.within) if cell.within in WORDS else SECONDS[cell.within]
    assert bound is not None
    assert answer.elapsed.total_seconds() < bound + SLACK_SECONDS
    if cell.status >= 400 and (cell.service, cell.status) != ("keystone", 401):
        fault = answer.json()[FAULT_NAMES[cell.status]]
        assert cell.status == fault["code"]
        assert 1 == len(answer.json())
    lines = lines_of(live, answer)
    if cell.log is None:
        assert [] == lines
    else:
        assert 1 == len(lines), lines
        assert re.search(cell.log, lines[0]), lines
        assert "Traceback" not in lines[0]


@pytest.mark.parametrize("cell", cells("glance"), ids=str)
def test_cell_of_glance(cell: Cell, world: World, service: Live) -> None:
    world.renew()
    call = CALLS[cell.call]
    trouble = Trouble(call.fails, call.before, cell.fault)
    world.glance.break_(trouble, at_once=cell.call not in {"pages", "write"})
    answer = ask(service, call)
    check(cell, service, answer)
    if cell.status == 200:
        shown = [image["id"] for image in answer.json()["images"]]
        last_is_lost = (cell.call, cell.fault) == ("pages", "an image twice")  # in its place
        assert len(ALL if cell.call == "pages" else ALL[:2]) - last_is_lost == len(shown)
    writes = [request for request in world.glance.seen if request.method in WRITES]
    assert len(writes) <= 1  # never repeated
    assert 0 == world.stranger.connections
    world.renew()
    again = ask(service, call)
    assert call.good == again.status_code, "not healthy at once"
    if cell.call == "pages":
        assert ALL == [image["id"] for image in again.json()["images"]]


CALLERS = {
    "new": (CALLS["list"], False),
    "known": (CALLS["list"], True),
    "writer": (CALLS["write"], False),
}


def is_validation(request: Request) -> bool:
    return request.method == "GET" and request.target.startswith("/v3/auth/tokens")


@pytest.mark.parametrize("cell", cells("keystone"), ids=str)
def test_cell_of_keystone(cell: Cell, world: World, service: Live) -> None:
    call, known = CALLERS[cell.call]
    project = f"project{next(numbers)}"
    world.renew(project)
    assert ask(service, CALLS["list"]).status_code == 200  # the service user has logged in
    if known:
        assert ask(service, call, project).status_code == 200
    world.keystone.break_(Trouble(is_validation, lambda _request: False, cell.fault), at_once=True)
    world.glance.seen.clear()
    answer = ask(service, call, project)
    check(cell, service, answer)
    if cell.status in {401, 503}:
        assert [] == world.glance.seen
    assert 0 == world.stranger.connections
    world.renew(project)
    assert ask(service, call, project).status_code == 200, "not healthy at once"


def rubbish(peer: Peer) -> None:
    peer.sock.recv(2**16)
    sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")(peer)


def forged(peer: Peer) -> None:
    """Answer any request with a value that has no valid signature."""
    while data := peer.sock.recv(2**16):
        if data.startswith(b"get "):
            key, value = data.split()[1], b"0" * 32 + b'{"token": {"user": {"id": "admin"}}}'
            sends(b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value))(peer)
        else:
            sends(b"STORED\r\n")(peer)


def closed(peer: Peer) -> None:
    peer.sock.recv(2**16)


MEMCACHED: dict[str, list[Callable[[Peer], None]]] = {
    "silent": [waits()],
    "closed": [closed],
    "rubbish": [rubbish],
    "forged": [forged],
}


@pytest.mark.parametrize("fault", dict.fromkeys(cell.fault for cell in cells("memcached")), ids=str)
@pytest.mark.parametrize("cache_seconds", ["0", "60"])
def test_cell_of_memcached(fault: str, cache_seconds: str, world: World) -> None:
    """Test all callers of a fault with one service, since it avoids a failed server for a while."""
    world.renew()
    settings = {"SHIM_CACHE_SECONDS": cache_seconds}
    mine = {cell.call: cell for cell in cells("memcached") if cell.fault == fault}
    if fault == "gone":
        return in_between(mine, world, settings)
    bind = ("127.0.0.1", free_port())
    scripts = [MEMCACHED[fault]] * 200 if fault in MEMCACHED else []
    with world.start(SHIM_MEMCACHED_SERVERS=f"127.0.0.1:{bind[1]}", **settings) as live:
        if fault == "refused":
            return meet(mine, world, live)
        with scripted(*scripts, bind=bind):
            return meet(mine, world, live)


def meet(mine: dict[str, Cell], world: World, live: Live) -> None:
    logged = []
    for name, cell in mine.items():
        world.renew()
        answer = ask(live, CALLERS[name][0])
        assert cell.status == answer.status_code
        assert answer.elapsed.total_seconds() < WORDS[cell.within] + SLACK_SECONDS
        logged += lines_of(live, answer)
    assert logged
    if mine["new"].fault != "forged":
        assert 1 == len(logged), logged
    for line in logged:
        assert re.search(str(mine["new"].log), line), logged
        assert "Traceback" not in line


def in_between(mine: dict[str, Cell], world: World, settings: dict[str, str]) -> None:
    """Kill and restart a real memcached between two requests."""
    if shutil.which("memcached") is None:
        pytest.skip("memcached is not installed; run `apt-get install memcached`")
    port = free_port()
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"]
    process = subprocess.Popen(command)
    try:
        with world.start(SHIM_MEMCACHED_SERVERS=f"127.0.0.1:{port}", **settings) as live:
            time.sleep(0.3)
            for _ in range(2):
                assert 200 == ask(live, CALLS["list"]).status_code
            assert 1 == sum(map(is_validation, world.keystone.seen))
            process.kill()
            process.wait()
            meet(mine, world, live)
            process = subprocess.Popen(command)
            assert 200 == ask(live, CALLS["list"]).status_code
            time.sleep(5.2)  # the client avoids it for this long
            world.renew()
            for _ in range(3):
                assert 200 == ask(live, CALLS["list"]).status_code
            assert 1 == sum(map(is_validation, world.keystone.seen))
    finally:
        process.kill()
        process.wait()
