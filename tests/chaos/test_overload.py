"""Test an overload by ten times as many clients as slots, and a long steady load.

The environment variables `LOAD_SECONDS` and `SOAK_SECONDS` set their durations; `make chaos` and
`make soak` use them.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.fakes import FakeKeystone, serve
from support.live import Live, glance_environ, live_shim

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

from .traffic import SlowGlance, Traffic

LOAD_SECONDS = float(os.environ.get("LOAD_SECONDS", "10"))
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "20"))
SLOTS = 8
GLANCE_SECONDS = 0.1
MEGABYTE = 2**20
LIST = "/v2/demo/images/detail"

# The bounds that docs/reference/faults.md promises.
P95_SECONDS = 3.0
GROWTH_MEGABYTES = 60
BACK_SECONDS = 5.0


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Return a service with one process and a slow Glance."""
    images = [complete({"id": f"i{n}", "owner": "demo", "os": "linux"}) for n in range(25)]
    glance = SlowGlance(service=MemoryImageService(images), seconds=GLANCE_SECONDS)
    keystone = FakeKeystone(glance_url="")
    with serve(glance) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        environ = glance_environ(keystone) | {"SHIM_THREADS": str(SLOTS)}
        with live_shim(tmp_path / "log", **environ, SHIM_LOG_LEVEL="WARNING") as live:
            yield live


def worker(live: Live) -> psutil.Process:
    (found,) = psutil.Process(live.process.pid).children()
    return found


def size(live: Live) -> Counter[str]:
    """Return the worker's memory in MiB, open files and threads."""
    process = worker(live)
    megabytes = process.memory_info().rss // MEGABYTE
    return Counter(megabytes=megabytes, files=process.num_fds(), threads=process.num_threads())


def test_an_overload_is_served_correctly_or_shed(live: Live, tell: Callable[[str], None]) -> None:
    with Traffic(live.url + LIST, 2) as calm:
        calm.wait_for(20)
    before = size(live)
    with Traffic(live.url + LIST, 10 * SLOTS, pause=0.05) as crowd:
        time.sleep(LOAD_SECONDS)
    during = size(live)
    after = Traffic(live.url + LIST, 2)
    time.sleep(1)
    with after:
        after.wait_for(20)
    tell(
        f"overload: {10 * SLOTS} clients, {SLOTS} slots, {LOAD_SECONDS:g} s: "
        f"{dict(crowd.outcomes)}, p95 {crowd.p95():.2f} s, "
        f"{before['megabytes']} -> {during['megabytes']} MiB; after: p95 {after.p95():.2f} s"
    )
    assert crowd.outcomes.keys() <= {"200", "503 1"}
    assert crowd.outcomes["200"] > 0.1 * LOAD_SECONDS * SLOTS / GLANCE_SECONDS
    assert crowd.p95() < P95_SECONDS
    assert during["megabytes"] - before["megabytes"] < GROWTH_MEGABYTES
    assert {"200"} == after.outcomes.keys()
    assert after.p95() < BACK_SECONDS


def test_a_long_load_leaks_no_memory_files_or_threads(
    live: Live, tell: Callable[[str], None]
) -> None:
    measured = []
    with Traffic(live.url + LIST, SLOTS) as load:
        time.sleep(max(3, SOAK_SECONDS * 0.2))  # fill pools and caches
        ends = time.monotonic() + SOAK_SECONDS * 0.8
        while time.monotonic() < ends:
            measured.append(size(live))
            time.sleep(max(0.5, SOAK_SECONDS / 60))
    third = max(1, len(measured) // 3)
    first, last = measured[:third], measured[-third:]
    for name in ("megabytes", "files", "threads"):
        start = sum(item[name] for item in first) / third
        end = sum(item[name] for item in last) / third
        tell(f"soak {SOAK_SECONDS:g} s: {name} {start:.1f} -> {end:.1f}")
        assert end <= start * 1.05 + 3, name
    tell(f"soak: {dict(load.outcomes)}")
    assert {"200"} == load.outcomes.keys()
