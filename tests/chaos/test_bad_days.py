"""A clock that jumps, certificates that change, and a flood of tokens."""

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import psutil
import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim, until

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

trustme = pytest.importorskip("trustme", reason="trustme is not installed; run `make chaos`")

COMPILER = shutil.which("cc")
TOKENS = 10_000
CACHED_TOKENS_BYTES = 2**26
HOUR = 3600


@pytest.fixture
def images() -> FakeGlance:
    return FakeGlance(service=MemoryImageService([complete({"id": "i1", "owner": "demo"})]))


@pytest.fixture
def environ(images: FakeGlance) -> Iterator[dict[str, str]]:
    """Return the settings of a service over a fake Keystone and Glance."""
    keystone = FakeKeystone(token_lifetime=timedelta(days=1))
    with serve(images) as images.url, serve(keystone) as keystone.url:
        keystone.glance_url = images.url
        yield glance_environ(keystone)


def list_images(live: Live, project: str = "demo") -> int:
    url, headers = f"{live.url}/v2/{project}/images", {"X-Auth-Token": token_of(project)}
    return requests.get(url, headers=headers, timeout=20).status_code


@pytest.fixture(scope="module")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that sets the clock of the process that it is loaded into."""
    if not COMPILER:
        pytest.skip("there is no C compiler; run `apt-get install gcc libc6-dev`")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
@pytest.mark.parametrize("cache_seconds", [0, 60])
def test_the_clock_jumps_by_an_hour(
    jump: int,
    cache_seconds: int,
    clock_library: Path,
    environ: dict[str, str],
    images: FakeGlance,
    tmp_path: Path,
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    before = ["env", f"LD_PRELOAD={clock_library}", f"CLOCK_OFFSET_FILE={offset}"]
    environ |= {"SHIM_CACHE_SECONDS": str(cache_seconds)}
    with live_shim(tmp_path / "log", before, **environ) as live:
        (worker,) = psutil.Process(live.process.pid).children()
        assert [200] * 3 == [list_images(live) for _ in range(3)]
        offset.write_text(str(jump))
        started = time.monotonic()
        assert [200] * 3 == [list_images(live) for _ in range(3)]
        assert time.monotonic() - started < 5
        assert worker.is_running()
    assert (1 if cache_seconds else 6) == len(images.seen)
    stamps = {line[:13] for line in live.log.read_text().splitlines() if line[:2] == "20"}
    assert len(stamps) > 1  # the process did see another time
    assert "Traceback" not in live.log.read_text()


def test_ten_thousand_tokens_cost_one_call_each_and_bounded_memory(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with live_shim(tmp_path / "log", **environ) as live, ThreadPoolExecutor(8) as pool:
        worker = psutil.Process(live.process.pid).children()[0]
        assert 200 == list_images(live)
        at_rest = worker.memory_info().rss
        projects = [f"project{number}" for number in range(TOKENS)]
        statuses = list(pool.map(partial(list_images, live), projects))
        grown = worker.memory_info().rss - at_rest
    assert {200} == set(statuses)
    assert grown < CACHED_TOKENS_BYTES * 1.5


def one_call_a_connection(app: WSGIApplication) -> WSGIApplication:
    """Return the application with connections that end after an answer."""

    def closing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> object:
            return start_response(status, [*headers, ("Connection", "close")])

        return app(environ, start)  # type: ignore[arg-type] # our applications use no more

    return closing


def test_certificates_are_renewed_without_a_restart(images: FakeGlance, tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    bundle = tmp_path / "ca.pem"
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2)]

    def renew(authority: Any) -> None:
        authority.cert_pem.write_to_path(bundle)
        for context in contexts:
            authority.issue_cert("127.0.0.1").configure_cert(context)

    renew(first)
    keystone = FakeKeystone()
    with (
        serve(one_call_a_connection(images), contexts[0]) as images.url,
        serve(one_call_a_connection(keystone), contexts[1]) as keystone.url,
    ):
        keystone.glance_url = images.url
        environ = glance_environ(keystone) | {"OS_CACERT": str(bundle)}
        with live_shim(tmp_path / "log", **environ) as live:
            assert 200 == list_images(live)
            renew(second)
            assert [200, 200] == [list_images(live), list_images(live, "alt")]
            bundle.unlink()  # a token that is known, and one that Keystone has to validate
            assert [503, 503] == [list_images(live), list_images(live, "other")]
            assert 200 == requests.get(f"{live.url}/v2/", timeout=10).status_code
            renew(first)
            until(lambda: 200 == list_images(live), 5)
            assert 200 == list_images(live, "other")
    log = live.log.read_text()
    assert 2 <= log.count(
        f"Could not find a suitable TLS CA certificate bundle, invalid path: {bundle}"
    )
    assert "Traceback" not in log
