"""Repeat the network faults between the service and a real Keystone and Glance."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from real.cloud import NotInstalledError, RealCloud
from real.conftest import real_environ
from support.live import Live, live_shim
from werkzeug.wrappers import Response

from .conftest import LIMITS, SECONDS
from .table import Cell, cells
from .test_faults import CALLERS, CALLS, WRITES, Call, ask, check, is_validation
from .upstream import Request, Trouble, Upstream

WIRE = ("refused", "closed", "reset", "silent", "in drops", "cut")
OF_ONE_HOP = {"connection", "content-encoding", "content-length", "transfer-encoding"}


@dataclass
class Between(Upstream):
    """A proxy between the service and a real one at the address `real`."""

    app: Any = None
    real: str = ""

    def answer(self, request: Request) -> Response:
        """Return the real service's response, with its address replaced by the proxy's."""
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                request.method,
                self.real + request.target,
                headers=dict(request.headers()),
                data=request.body,
                allow_redirects=False,
                timeout=30,
            )
        fields = {
            name: response.headers[name]
            for name in response.headers
            if name.lower() not in OF_ONE_HOP
        }
        content = response.content.replace(self.real.encode(), self.url.encode())
        return Response(content, response.status_code, fields)


@dataclass
class RealWorld:
    """A real cloud, the proxies in front of it, and a live service that uses them."""

    cloud: RealCloud
    keystone: Between
    glance: Between
    live: Live = field(init=False)
    ids: list[str] = field(default_factory=list)

    def renew(self) -> None:
        """Create six images, end all faults and forget requests; `ids` has the newest first."""
        for each in (self.keystone, self.glance):
            each.heal()
            each.seen.clear()
        self.cloud.purge_images()
        self.ids = self.cloud.insert_images("demo", 6, prefix="chaos")[::-1]

    def ask(self, call: Call, token: str) -> requests.Response:
        answer: requests.Response = ask(self.live, call, self.cloud.projects["demo"], token)
        return answer

    def call(self, name: str) -> Call:
        """Return a call of the table with ids of real images in place of the fake ones."""
        call = CALLS[name]
        path = call.path.replace("i1", self.ids[-1])
        if name != "pages":
            return Call(call.method, path, call.good, call.fails, call.before, call.body)
        second = f"marker={self.ids[1]}"
        return Call(
            call.method,
            path,
            call.good,
            lambda request: "marker=" in request.target and second not in request.target,
            lambda request: second in request.target,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorld]:
    try:
        cloud = RealCloud().__enter__()
    except NotInstalledError as error:
        pytest.skip(f"{error}; run `python tests/real/install.py`")
    keystone, glance = Between(real=cloud.keystone_url), Between(real=cloud.glance_url)
    try:
        with keystone.running(), glance.running():
            environ = real_environ(cloud) | LIMITS
            environ |= {name: str(seconds) for name, seconds in SECONDS.items()}
            environ |= {"OS_AUTH_URL": f"{keystone.url}/v3", "SHIM_GLANCE_ENDPOINT": glance.url}
            log = tmp_path_factory.mktemp("chaos") / "log"
            found = RealWorld(cloud, keystone, glance)
            with live_shim(log, **environ) as found.live:
                yield found
    finally:
        cloud.__exit__()


@pytest.fixture
def token(world: RealWorld) -> Iterator[str]:
    """Return a new token after the service has noticed the end of earlier faults."""
    token = world.cloud.token("demo")
    yield token
    world.renew()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not world.ask(CALLS["list"], token).ok:
        time.sleep(0.1)


def shown(answer: requests.Response) -> list[str]:
    return [image["id"] for image in answer.json()["images"]]


@pytest.mark.parametrize("cell", [c for c in cells("glance") if c.fault in WIRE], ids=str)
def test_cell_of_a_real_glance(cell: Cell, world: RealWorld, token: str) -> None:
    world.renew()
    assert world.ids[:2] == shown(world.ask(CALLS["list"], token))
    call = world.call(cell.call)
    world.glance.seen.clear()
    trouble = Trouble(call.fails, call.before, cell.fault)
    world.glance.break_(trouble, at_once=cell.call not in {"pages", "write"})
    check(cell, world.live, world.ask(call, token))
    writes = [request for request in world.glance.seen if request.method in WRITES]
    assert len(writes) <= 1  # never repeated
    world.renew()
    again = world.ask(world.call(cell.call), token)
    assert call.good == again.status_code, "not healthy at once"
    if cell.call == "pages":
        assert world.ids == shown(again)


@pytest.mark.parametrize("cell", [c for c in cells("keystone") if c.fault in WIRE], ids=str)
def test_cell_of_a_real_keystone(cell: Cell, world: RealWorld, token: str) -> None:
    world.renew()
    name = "write" if cell.call == "writer" else "list"
    _, known = CALLERS[cell.call]
    # The service user has logged in to validate another token.
    assert world.ask(CALLS["list"], token if known else world.cloud.token("demo")).ok
    world.glance.seen.clear()
    world.keystone.break_(Trouble(is_validation, lambda _request: False, cell.fault), at_once=True)
    check(cell, world.live, world.ask(world.call(name), token))
    if cell.status == 503:
        assert [] == world.glance.seen
    world.renew()
    assert 200 == world.ask(world.call(name), token).status_code, "not healthy at once"
