"""Reloads, stops and crashes, and their effect on concurrent requests."""

import contextlib
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from support.fakes import FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim, until

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

from .traffic import SlowGlance, Traffic, nginx

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
needs_nginx = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed; run `apt-get install nginx`"
)
HEADERS = {"X-Auth-Token": token_of("demo")}
LIST = "/v2/demo/images"


@pytest.fixture
def slow_glance() -> Iterator[SlowGlance]:
    fake = SlowGlance(service=MemoryImageService([complete({"id": "i1", "owner": "demo"})]))
    with serve(fake) as fake.url:
        yield fake
        fake.held.set()


@pytest.fixture
def start(slow_glance: SlowGlance, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that starts a shim with two processes and the slow Glance."""
    keystone = FakeKeystone(glance_url=slow_glance.url)
    number = iter(range(100))

    def start_(**settings: str) -> AbstractContextManager[Live]:
        environ = glance_environ(keystone) | {"WEB_CONCURRENCY": "2"} | settings
        return live_shim(tmp_path / f"log{next(number)}", **environ)

    with serve(keystone) as keystone.url:
        yield start_


def workers(live: Live) -> list[psutil.Process]:
    return psutil.Process(live.process.pid).children()


@pytest.mark.parametrize("keep", [True, False], ids=["kept connections", "new connections"])
def test_a_reload_fails_no_request(
    keep: bool, slow_glance: SlowGlance, start: Callable[..., Any]
) -> None:
    slow_glance.seconds = 0.02
    with start() as live:
        before = {worker.pid for worker in workers(live)}
        with Traffic(live.url + LIST, 6, keep=keep) as traffic:
            traffic.wait_for(20)
            live.process.send_signal(signal.SIGHUP)
            until(lambda: not before & {worker.pid for worker in workers(live)}, 20)
            traffic.wait_for(40)
        assert 2 == len(workers(live))
    assert {"200"} == set(traffic.outcomes), traffic.outcomes


def test_a_stop_finishes_running_requests(
    slow_glance: SlowGlance, start: Callable[..., Any]
) -> None:
    with start() as live, ThreadPoolExecutor(8) as pool:
        slow_glance.held.clear()
        answers = [
            pool.submit(requests.get, f"{live.url}{LIST}?limit={n}", headers=HEADERS, timeout=30)
            for n in range(1, 9)  # different lists, which are not shared
        ]
        until(lambda: len(slow_glance.seen) >= 8, 10)
        live.process.terminate()
        until(lambda: is_refused(live.url), 5)
        slow_glance.held.set()
        assert [200] * 8 == [answer.result().status_code for answer in answers]
        assert 0 == live.process.wait(10)
    assert "Traceback" not in live.log.read_text()


def is_refused(url: str) -> bool:
    """Return whether new connections are refused instead of accepted and ignored."""
    try:
        requests.get(f"{url}/healthcheck", timeout=4)
    except requests.ConnectionError:
        return True
    return False


def address(live: Live) -> str:
    return str(live.url.removeprefix("http://"))


@contextlib.contextmanager
def pair(start: Callable[..., Any], folder: Path) -> Iterator[tuple[Live, Live, str]]:
    """Start two shims and nginx in front of them; yield the shims and nginx's URL."""
    with start() as one, start() as other, nginx(folder, address(one), address(other)) as url:
        yield one, other, url


@needs_nginx
def test_killing_a_worker_fails_no_read_behind_nginx(
    slow_glance: SlowGlance, start: Callable[..., Any], tmp_path: Path
) -> None:
    slow_glance.seconds = 0.02
    with pair(start, tmp_path) as (one, other, url):
        with Traffic(url + LIST, 6) as traffic:
            for live in (one, other):
                traffic.wait_for(30)
                workers(live)[0].kill()
            traffic.wait_for(60)
        assert [2, 2] == [len(workers(live)) for live in (one, other)]
    assert {"200"} == set(traffic.outcomes), traffic.outcomes


@needs_nginx
def test_killing_an_instance_fails_no_read_behind_nginx(
    slow_glance: SlowGlance, start: Callable[..., Any], tmp_path: Path
) -> None:
    slow_glance.seconds = 0.02
    with contextlib.ExitStack() as stack:
        one, _, url = stack.enter_context(pair(start, tmp_path))
        traffic = stack.enter_context(Traffic(url + LIST, 6))
        traffic.wait_for(30)
        for process in [*workers(one), psutil.Process(one.process.pid)]:
            process.kill()
        traffic.wait_for(60)
    assert {"200"} == set(traffic.outcomes), traffic.outcomes


@needs_nginx
def test_nginx_forwards_paths_and_addresses_unchanged(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(start(SHIM_TRUSTED_PROXIES="1"))
        url = stack.enter_context(nginx(tmp_path, address(one), address(one)))
        answer = requests.get(f"{url}/v2/demo//images.json", headers=HEADERS, timeout=10)
        (image,) = answer.json()["images"]
        assert f"{url}/v2/demo/images/i1" == image["links"][0]["href"]
        encoded = requests.get(f"{url}/v2/demo/images/a%2Fb", headers=HEADERS, timeout=10)
        assert 404 == encoded.status_code
        large = requests.post(
            f"{url}{LIST}/i1/metadata", headers=HEADERS, data=b"x" * 120_000, timeout=10
        )
        assert 413 == large.status_code


@needs_nginx
def test_slow_clients_occupy_nginx_but_no_thread(start: Callable[..., Any], tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(start())
        url = stack.enter_context(nginx(tmp_path, address(one), address(one)))
        host, _, port = url.removeprefix("http://").rpartition(":")
        token = token_of("demo")
        for number in range(300):  # more than the threads of both processes
            sock = stack.enter_context(socket.create_connection((host, int(port))))
            head = f"POST {LIST}/i1/metadata HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\n"
            body = "Content-Length: 50\r\n\r\n{" if number % 2 else ""
            sock.sendall((head + body).encode())
        for _ in range(10):
            answer = requests.get(url + LIST, headers=HEADERS, timeout=20)
            assert 200 == answer.status_code
            assert answer.elapsed.total_seconds() < 1
