"""Continuous clients, nginx as configured in deploy/, and a slow Glance."""

import contextlib
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import requests
from support.fakes import FakeGlance, token_of
from support.live import free_port, until
from support.paths import ROOT
from werkzeug.wrappers import Request, Response


@dataclass
class SlowGlance(FakeGlance):
    """A Glance that takes `seconds` for each response, or waits until `held` is set."""

    seconds: float = 0.0
    held: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.held.set()

    def usual(self, request: Request) -> Response:
        time.sleep(self.seconds)
        self.held.wait(30)
        return super().usual(request)


@dataclass
class Traffic:
    """Clients that send the next request as soon as they get a response.

    Args:
        url: the requested URL, with a token of `demo`.
        clients: the number of clients.
        keep: whether each client keeps its connection.
        pause: seconds between two requests of a client.
    """

    url: str
    clients: int
    keep: bool = True
    pause: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[tuple[float, str, float]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.headers["X-Auth-Token"] = token_of("demo")
            session.headers["Connection"] = "keep-alive" if self.keep else "close"
            while not self._over.is_set():
                self._note(session)
                self._over.wait(self.pause)

    def _note(self, session: requests.Session) -> None:
        started = time.monotonic()
        try:
            answer = session.get(self.url, timeout=30)
            outcome = str(answer.status_code)
            if outcome == "503":
                outcome += f" {answer.headers.get('Retry-After')}"
        except requests.RequestException as error:
            outcome = type(error).__name__
        ended = time.monotonic()
        with self._lock:
            self.outcomes[outcome] += 1
            self.seconds.append((ended, outcome, ended - started))

    def p95(self, outcome: str = "200") -> float:
        """Return the 95th percentile of the response times, in seconds."""
        taken = sorted(took for _, found, took in self.seconds if found == outcome)
        return taken[int(len(taken) * 0.95)] if taken else 0.0

    def wait_for(self, count: int) -> None:
        """Wait for a number of further responses."""
        target = len(self.seconds) + count
        until(lambda: len(self.seconds) >= target)


@contextlib.contextmanager
def nginx(folder: Path, *shims: str) -> Iterator[str]:
    """Run nginx with deploy/'s configuration in front of two shims, and yield its URL.

    Args:
        folder: the folder for its files.
        shims: `host:port` of each; a missing one gets an address that refuses connections.
    """
    port = free_port()
    text = (ROOT / "deploy" / "nginx" / "instances.conf").read_text()
    for placeholder, address in zip(("127.0.0.1:8775", "127.0.0.1:8776"), shims, strict=True):
        text = text.replace(placeholder, address)
    text = text.replace("127.0.0.1:8774", f"127.0.0.1:{port}")
    text = text.replace("/var/log/nginx", str(folder))
    main = f"""daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/shim.conf;
}}
"""
    (folder / "shim.conf").write_text(text)
    (folder / "nginx.conf").write_text(main)
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c"]
    process = subprocess.Popen([*command, f"{folder}/nginx.conf"])
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}/healthcheck"), 10)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).ok
    return False
