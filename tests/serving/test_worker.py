"""A thread stays with a client that asks again at once, and not where another wants it."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.live import Live, live_shim, until

pytestmark = pytest.mark.live

THREADS = 2


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    environ = {"SHIM_BACKEND": "memory", "SHIM_THREADS": str(THREADS)}
    with live_shim(tmp_path / "log", **environ) as live:
        yield live


def ask_until(stop: threading.Event, url: str, answered: list[int]) -> None:
    """Ask again and again on one connection, without a pause."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    while not stop.is_set():
        connection.request("GET", "/healthcheck")
        answer = connection.getresponse()
        answer.read()
        answered.append(answer.status)
    connection.close()


def test_clients_that_never_pause_leave_their_threads_to_others(live: Live) -> None:
    stop = threading.Event()
    answered: list[int] = []
    with ExitStack() as stack:
        for _ in range(THREADS):
            thread = threading.Thread(target=ask_until, args=(stop, live.url, answered))
            stack.callback(thread.join)
            thread.start()
        stack.callback(stop.set)
        took = []
        for _ in range(10):
            answer = requests.get(f"{live.url}/healthcheck", timeout=10)
            took.append(answer.elapsed.total_seconds())
            time.sleep(0.05)
    assert max(took) < 0.5
    assert len(answered) > 10 * THREADS
    assert {200} == set(answered)


def test_a_connection_waits_in_no_thread_for_long(live: Live) -> None:
    with ExitStack() as stack:
        kept = [stack.enter_context(requests.Session()) for _ in range(4 * THREADS)]
        for _ in range(3):
            answers = [session.get(f"{live.url}/healthcheck", timeout=10) for session in kept]
            assert max(answer.elapsed.total_seconds() for answer in answers) < 1
            time.sleep(0.1)


@pytest.mark.parametrize("stopped_after", [0, 0.2], ids=["as it connects", "while it is silent"])
def test_a_client_that_connected_before_the_stop_is_answered(
    live: Live, stopped_after: float
) -> None:
    host, port = urlsplit(live.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        time.sleep(stopped_after)
        live.process.terminate()
        until(lambda: not is_listening(host, int(port)))
        time.sleep(0.2)  # longer than a thread waits for the first byte
        client.sendall(b"GET /healthcheck HTTP/1.0\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.0 200 OK")


def is_listening(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def test_a_silent_client_delays_a_stop_as_little_as_a_kept_connection(live: Live) -> None:
    host, port = urlsplit(live.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        time.sleep(0.2)
        live.process.terminate()
        began = time.monotonic()
        live.process.wait(10)
        assert time.monotonic() - began < 4  # gunicorn keeps them for 2 s
        assert b"" == client.recv(1)
