"""Fixtures: the service with upstreams that fail on demand, and a count of the cells."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, token_of
from support.live import Live, glance_environ, live_shim
from support.peers import ScriptedServer, scripted

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

from .upstream import Upstream

# Short, so that the table takes only a few minutes; the tests check these bounds.
SECONDS = {
    "SHIM_GLANCE_CONNECT_TIMEOUT": 0.5,
    "SHIM_GLANCE_READ_TIMEOUT": 0.5,
    "SHIM_REQUEST_TIMEOUT": 1.0,
    "SHIM_KEYSTONE_TIMEOUT": 0.6,
}
LIMITS = {"SHIM_GLANCE_PAGE_SIZE": "2", "SHIM_MAX_LIST_BYTES": str(2**20)}


@dataclass
class World:
    """Keystone and Glance that fail on demand, and a service that uses them."""

    keystone: Upstream
    glance: Upstream
    fake_glance: FakeGlance
    stranger: ScriptedServer
    start: Callable[..., AbstractContextManager[Live]] = field(repr=False, kw_only=True)

    def renew(self, project: str = "demo") -> None:
        """Restore all six images of a project, end all faults and forget recorded requests."""
        self.fake_glance.service = MemoryImageService(images(project))
        for upstream in (self.keystone, self.glance):
            upstream.heal()
            upstream.seen.clear()


def images(project: str) -> list[dict[str, Any]]:
    return [
        complete({"id": f"i{n}", "owner": project, "created_at": f"2020-01-0{n}T00:00:00Z"})
        for n in range(1, 7)
    ]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    fake_glance, fake_keystone = FakeGlance(), FakeKeystone()
    glance, keystone = Upstream(fake_glance), Upstream(fake_keystone)
    with glance.running(), keystone.running(), scripted() as stranger:
        glance.stranger = keystone.stranger = stranger.url
        fake_keystone.url, fake_keystone.glance_url = keystone.url, glance.url

        def start(**settings: str) -> AbstractContextManager[Live]:
            environ = glance_environ(fake_keystone) | LIMITS
            environ |= {name: str(seconds) for name, seconds in SECONDS.items()}
            log = tmp_path_factory.mktemp("chaos") / "log"
            return live_shim(log, **environ | settings)

        yield World(keystone, glance, fake_glance, stranger, start=start)


@pytest.fixture(scope="session")
def session_service(world: World) -> Iterator[Live]:
    with world.start() as live:
        yield live


@pytest.fixture
def service(session_service: Live, world: World) -> Iterator[Live]:
    """Return a live service that has noticed the end of earlier faults."""
    yield session_service
    world.renew("recovered")
    headers = {"X-Auth-Token": token_of("recovered")}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        url = f"{session_service.url}/v2/recovered/images"
        if requests.get(url, headers=headers, timeout=10).ok:
            return
        time.sleep(0.1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chaos" in item.path.parent.name:
            item.add_marker("chaos")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report how many cells of the table were run."""
    outcomes: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if "test_cell" in report.nodeid and report.when == "call":
                outcomes[outcome] += 1
    if outcomes:
        total = sum(outcomes.values())
        terminalreporter.write_line(f"cells of the table: {total}, green: {outcomes['passed']}")
