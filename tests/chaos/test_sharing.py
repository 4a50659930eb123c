"""Many clients poll one list: shared answers are never stale, whatever fails meanwhile."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim
from werkzeug.wrappers import Request, Response

pytestmark = [pytest.mark.chaos, pytest.mark.live]

CLIENTS, SECONDS = 24, 8


@dataclass
class Counting(FakeGlance):
    """A Glance that serves two lists at a time, names each after its beginning, and may fail."""

    seconds: float = 0.1
    failures: float = 0.0
    version: int = 0  # of the data; changes while lists are built
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))
    most: int = 0
    inside: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def usual(self, request: Request) -> Response:
        with self.lock:
            self.version += 1
            name = str(self.version)
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            with self.places:
                time.sleep(self.seconds)
        finally:
            with self.lock:
                self.inside -= 1
        if random.random() < self.failures:
            return Response("broken", 503)
        image = {"id": "i", "name": name, "status": "active", "visibility": "public"}
        return Response(f'{{"images": [{json.dumps(image)}]}}', mimetype="application/json")


@dataclass
class Poller:
    """Clients that poll; each notes what was begun before it asked, and what it got."""

    live: Live
    glance: Counting
    outcomes: Counter[str] = field(default_factory=Counter)
    stale: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def poll(self, path: str, until: float) -> None:
        with requests.Session() as session:
            session.headers["X-Auth-Token"] = token_of("demo")
            while time.monotonic() < until:
                before, started = self.glance.version, time.monotonic()
                answer = session.get(f"{self.live.url}/v2/demo/{path}", timeout=30)
                self.outcomes[str(answer.status_code)] += 1
                self.seconds.append(time.monotonic() - started)
                if answer.ok and int(answer.json()["images"][0]["name"]) <= before:
                    self.stale.append((before, answer.text))


@pytest.fixture
def counting() -> Iterator[Counting]:
    fake = Counting()
    with serve(fake) as fake.url:
        yield fake


def run(folder: Path, glance: Counting, **environ: str) -> Poller:
    keystone = FakeKeystone(glance_url=glance.url)
    with ExitStack() as stack:
        keystone.url = stack.enter_context(serve(keystone))
        environ |= glance_environ(keystone)
        poller = Poller(stack.enter_context(live_shim(folder / "log", **environ)), glance)
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(CLIENTS):
                pool.submit(poller.poll, "images/detail", end)
    assert "Traceback" not in (folder / "log").read_text()
    return poller


@pytest.mark.parametrize(("failures", "statuses"), [(0.0, {"200"}), (0.3, {"200", "503"})])
def test_polling_clients_share_lists_that_are_newer_than_their_requests(
    failures: float, statuses: set[str], counting: Counting, tmp_path: Path
) -> None:
    counting.failures = failures
    poller = run(tmp_path, counting)
    assert [] == poller.stale
    assert statuses == set(poller.outcomes)
    assert counting.most <= 4  # two workers, two fetches each
    assert poller.outcomes.total() > 3 * counting.version


def test_without_sharing_each_client_has_its_own_fetch(counting: Counting, tmp_path: Path) -> None:
    counting.seconds = 0.01
    poller = run(tmp_path, counting, SHIM_SHARED_LISTS="0")
    assert ([], {"200"}) == (poller.stale, set(poller.outcomes))
    assert counting.version >= poller.outcomes.total()
