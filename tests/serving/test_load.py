"""A service that hangs takes the service over it no further than its own calls."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import Live, free_port, glance_environ, live_shim
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from nova_image_shim.settings import Settings

pytestmark = pytest.mark.live

PLACES = 4  # SHIM_THREADS, which call Glance
KEYSTONE, WAITING = Settings().keystone_threads, Settings().most_waiting
SETTINGS = {"SHIM_THREADS": str(PLACES), "SHIM_QUEUE_SECONDS": "0.5"}


@dataclass
class Held(FakeGlance):
    """A Glance that answers nothing while it is held."""

    free: threading.Event = field(default_factory=threading.Event)

    def usual(self, request: Request) -> Response:
        self.free.wait(30)
        return super().usual(request)


@dataclass
class HeldKeystone(FakeKeystone):
    """A Keystone that validates nothing while it is held."""

    free: threading.Event = field(default_factory=threading.Event)

    def _validate(self, token: str) -> Response:
        self.free.wait(30)
        return super()._validate(token)


@dataclass
class World:
    glance: Held
    keystone: HeldKeystone
    live: Live


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Return the service over both; a parameter has further settings."""
    more: dict[str, str] = getattr(request, "param", {})
    glance, keystone = Held(), HeldKeystone()
    with serve(glance) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        glance.free.set()
        keystone.free.set()
        environ = glance_environ(keystone) | SETTINGS | more
        with live_shim(tmp_path / "log", **environ) as live:
            assert ("200", None) == ask(live, "demo")
            yield World(glance, keystone, live)
            glance.free.set()
            keystone.free.set()


def ask(live: Live, project: str, path: str = "/images") -> tuple[str, str | None]:
    """Return an answer's status and its `Retry-After`."""
    url = f"{live.url}/v2/{project}{path}"
    answer = requests.get(url, headers={"X-Auth-Token": token_of(project)}, timeout=40)
    return str(answer.status_code), answer.headers.get("Retry-After")


def until(true: object) -> None:
    deadline = time.monotonic() + 10
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def slowest_of_those_who_need_nobody(live: Live, seconds: float = 1.5) -> float:
    """Return the most that a version document or the health check took within that time."""
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in ("/", "/v2/", "/v2.1", "/healthcheck"):
            answer = requests.get(live.url + path, timeout=20)
            assert 200 == answer.status_code
            took.append(answer.elapsed.total_seconds())
    return max(took)


@pytest.mark.parametrize(
    ("path", "held", "world"),
    [
        ("/images?name=x", PLACES, {"SHIM_SHARED_LISTS": "0"}),
        ("/images?name=x", 2 + WAITING, {}),  # two fetch, others wait for the next fetch
        ("/images?limit=1&marker=x", 2 + WAITING, {}),
        ("/images?name=x", 1 + WAITING, {"SHIM_CACHE_SECONDS": "60"}),
        ("/images/x", PLACES, {}),
    ],
    indirect=["world"],
)
def test_a_hanging_glance_leaves_threads_to_the_rest(path: str, held: int, world: World) -> None:
    world.glance.free.clear()
    world.glance.reset()
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(ask, world.live, "demo", path) for _ in range(40)]
        assert slowest_of_those_who_need_nobody(world.live) < 1
        until(lambda: sum(answer.done() for answer in answers) == 40 - held)
        shed = Counter(answer.result() for answer in answers if answer.done())
        assert {("503", "1"): 40 - held} == shed
        assert len(world.glance.seen) <= 2 * PLACES  # a page, and the page before it
        world.glance.free.set()
        assert {("503", "1"): 40 - held} != Counter(answer.result() for answer in answers)
    assert ("200", None) == ask(world.live, "demo")


@pytest.mark.parametrize("world", [{"SHIM_CACHE_SECONDS": "60"}], indirect=True)
def test_a_hanging_glance_leaves_threads_to_kept_lists(world: World) -> None:
    world.glance.free.clear()
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(ask, world.live, "demo", f"/images?name={n}") for n in range(40)]
        until(lambda: len(world.glance.seen) > PLACES)
        started = time.monotonic()
        for _ in range(5):
            assert ("200", None) == ask(world.live, "demo")
        assert time.monotonic() - started < 3
        world.glance.free.set()
        assert {"200", "503"} == {answer.result()[0] for answer in answers}


def test_a_hanging_keystone_leaves_threads_to_known_tokens(world: World) -> None:
    world.keystone.free.clear()
    world.keystone.reset()
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(ask, world.live, f"new{n}") for n in range(40)]
        until(lambda: len(world.keystone.seen) >= KEYSTONE)
        started = time.monotonic()
        for _ in range(5):
            assert ("200", None) == ask(world.live, "demo")
        assert time.monotonic() - started < 3
        assert slowest_of_those_who_need_nobody(world.live) < 1
        assert KEYSTONE == len(world.keystone.seen)
        until(lambda: sum(answer.done() for answer in answers) >= 40 - KEYSTONE)
        world.keystone.free.set()
        found = Counter(answer.result() for answer in answers)
    assert 40 - KEYSTONE <= found["503", "1"] + found["503", None] <= 40
    assert ("200", None) == ask(world.live, "other")


def test_one_unknown_token_of_many_requests_takes_no_more_than_its_share(world: World) -> None:
    world.keystone.free.clear()
    with ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(ask, world.live, "new") for _ in range(60)]
        assert slowest_of_those_who_need_nobody(world.live) < 1
        assert ("200", None) == ask(world.live, "demo")
        world.keystone.free.set()
        found = Counter(answer.result() for answer in answers)
    assert 60 - (1 + WAITING) <= found["503", "1"] + found["503", None]
    assert 1 + WAITING >= found["200", None]


def test_a_glance_that_refuses_is_tried_once_a_second_and_no_more(
    keystone: FakeKeystone, tmp_path: Path
) -> None:
    glance = FakeGlance(url=f"http://127.0.0.1:{free_port()}")
    environ = glance_environ(keystone) | {"SHIM_GLANCE_ENDPOINT": glance.url} | SETTINGS
    with live_shim(tmp_path / "log", **environ) as live:
        found = [ask(live, "demo") for _ in range(20)]
        assert ("503", None) == found[0]
        assert [("503", "1")] * 10 == found[10:]
        reason = r"not tried, because \d+ connections in a row failed: .*refused"
        until(lambda: re.search(reason, live.log.read_text()))
        server = make_server("127.0.0.1", int(glance.url.rpartition(":")[2]), glance, threaded=True)
        server.daemon_threads = True  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            time.sleep(1.1)
            assert [("200", None)] * 5 == [ask(live, "demo") for _ in range(5)]
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
