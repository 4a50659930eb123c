"""Behind each shipped proxy no write is repeated, and no stop or death of an instance is seen."""

from __future__ import annotations

import contextlib
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from chaos.traffic import SlowGlance
from real.processes import free_ports
from support.fakes import FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim, until

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

from .fronts import FRONTS, Backends, front_of
from .load import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import trustme

    from .fronts import Front

IMAGE_IDS = [f"i{number}" for number in range(6)]
IMAGES = "/v2/demo/images"
TOKEN = {"X-Auth-Token": token_of("demo")}
UNAVAILABLE = "The server is currently unavailable. Please try again at a later time."
BROKEN = "The server has either erred or is incapable of performing the requested operation."
FAULTS = {  # for a write of which nobody knows whether it was done
    "nginx": {"serviceUnavailable": {"code": 503, "message": UNAVAILABLE}},
    "haproxy": {"computeFault": {"code": 502, "message": BROKEN}},
}


@pytest.fixture
def slow_glance() -> Iterator[SlowGlance]:
    images = [complete({"id": image_id, "owner": "demo"}) for image_id in IMAGE_IDS]
    fake = SlowGlance(service=MemoryImageService(images))
    with serve(fake) as fake.url:
        yield fake
        fake.held.set()


@pytest.fixture
def start(slow_glance: SlowGlance, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Return a function that starts a shim at an address."""
    keystone = FakeKeystone(glance_url=slow_glance.url)
    number = itertools.count()

    def start_(bind: str) -> AbstractContextManager[Live]:
        log = tmp_path / f"log{next(number)}"
        return live_shim(log, **glance_environ(keystone), SHIM_BIND=bind)

    with serve(keystone) as keystone.url:
        yield start_


@pytest.fixture
def binds() -> tuple[str, str]:
    one, other = free_ports(2)
    return f"127.0.0.1:{one}", f"127.0.0.1:{other}"


@pytest.fixture(params=FRONTS)
def front(
    request: pytest.FixtureRequest,
    binds: tuple[str, str],
    certificate: tuple[Path, trustme.LeafCert],
    tmp_path: Path,
) -> Iterator[Front]:
    with front_of(request.param, tmp_path, Backends(binds), certificate[1]) as front:
        yield front


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
def test_a_write_of_a_killed_worker_fails_and_is_not_repeated(
    method: str,
    front: Front,
    binds: tuple[str, str],
    slow_glance: SlowGlance,
    start: Callable[..., Any],
) -> None:
    path = f"{IMAGES}/i1" if method == "DELETE" else f"{IMAGES}/i1/metadata"
    body = None if method == "DELETE" else {"metadata": {"os": "linux"}}
    with start(binds[0]) as one, start(binds[1]) as other, ThreadPoolExecutor(1) as pool:
        wait_until_used(front, one, other)
        slow_glance.seen.clear()
        slow_glance.held.clear()
        writing = pool.submit(
            requests.request, method, front.http + path, headers=TOKEN, json=body, timeout=30
        )
        until(lambda: slow_glance.seen, 10)
        for live in (one, other):
            for worker in psutil.Process(live.process.pid).children():
                worker.kill()
        answer = writing.result()
        slow_glance.held.set()
    assert 1 == len(slow_glance.seen)
    fault = FAULTS[front.name]
    assert fault == answer.json()
    assert next(iter(fault.values()))["code"] == answer.status_code


def wait_until_used(front: Front, *lives: Live) -> None:
    """Wait until the proxy has found that every instance is up, and sends calls there."""

    def is_used() -> bool:
        requests.get(front.http + IMAGES, headers=TOKEN, timeout=30)
        return all(" images.index " in live.log.read_text() for live in lives)

    until(is_used)


def test_the_death_of_an_instance_loses_no_read(
    front: Front, binds: tuple[str, str], slow_glance: SlowGlance, start: Callable[..., Any]
) -> None:
    slow_glance.seconds = 0.02  # reads are under way
    load = Load(front.http + IMAGES, [], token_of("demo"))
    with start(binds[0]) as one, start(binds[1]) as other:
        wait_until_used(front, one, other)
        with load:
            load.wait_for(50)
            parent = psutil.Process(one.process.pid)
            for process in [*parent.children(), parent]:
                process.kill()
            load.wait_for(100)
    assert {"GET 200"} == set(load.outcomes), load.outcomes


def test_stopping_instances_under_load_loses_and_repeats_no_write(
    front: Front, binds: tuple[str, str], slow_glance: SlowGlance, start: Callable[..., Any]
) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        second = stack.enter_context(contextlib.ExitStack())
        lives = [first.enter_context(start(binds[0])), second.enter_context(start(binds[1]))]
        wait_until_used(front, *lives)
        load = stack.enter_context(Load(front.http + IMAGES, IMAGE_IDS, token_of("demo")))
        load.wait_for(300)
        first.close()  # TERM: it finishes what it has, and refuses the rest
        load.wait_for(300)
        first.enter_context(start(binds[0]))
        time.sleep(3)  # HAProxy probes it again, and nginx tries it again, after 2 s
        load.wait_for(300)
        second.close()
        load.wait_for(300)
    assert Load.GOOD == set(load.outcomes), load.outcomes
    writes = load.outcomes.total() - load.outcomes["GET 200"]
    assert writes == [seen.method for seen in slow_glance.seen].count("PATCH")
