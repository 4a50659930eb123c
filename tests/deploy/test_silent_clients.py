"""Behind the shipped proxies, clients that send nothing delay nobody."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import glance_environ, live_shim

from nova_image_shim.adapters.memory.service import MemoryImageService

from .fronts import FRONTS, Backends, front_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

CONNECTIONS = 1100  # that one worker takes: 1000, and one for each thread
TOKEN = {"X-Auth-Token": token_of("demo")}


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the `host:port` of a shim with one worker."""
    keystone, glance = FakeKeystone(), FakeGlance(service=MemoryImageService())
    with serve(glance) as keystone.glance_url, serve(keystone) as keystone.url:
        log = tmp_path_factory.mktemp("shim") / "log"
        with live_shim(log, **glance_environ(keystone)) as live:
            yield urlsplit(live.url).netloc


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", FRONTS)
def test_twice_as_many_silent_clients_as_a_worker_takes_delay_nobody(
    name: str,
    scheme: str,
    one_worker: str,
    certificate: tuple[Path, trustme.LeafCert],
    tmp_path: Path,
) -> None:
    ca, leaf = certificate
    with (
        front_of(name, tmp_path, Backends((one_worker, one_worker)), leaf) as front,
        contextlib.ExitStack() as stack,
    ):
        address = urlsplit(front.url(scheme))
        for _ in range(2 * CONNECTIONS):
            sock = socket.create_connection(("127.0.0.1", address.port or 0), timeout=10)
            stack.enter_context(sock)
        for _ in range(10):
            answer = requests.get(
                f"{front.url(scheme)}/v2/demo/images", headers=TOKEN, timeout=30, verify=str(ca)
            )
            assert 200 == answer.status_code
            assert answer.elapsed.total_seconds() < 1
