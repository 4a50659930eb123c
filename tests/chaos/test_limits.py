"""Limits of the system, reached while clients ask and while a reload runs: `limits.yaml`."""

import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
import yaml
from support.live import Live, live_shim, until

LIMITS = yaml.safe_load(Path(__file__).with_name("limits.yaml").read_text())
SETTINGS = {"SHIM_BACKEND": "memory", "SHIM_CLIENT_TIMEOUT": "2", "SHIM_REQUEST_TIMEOUT": "3"}
LONGEST_SECONDS = 2 + 6  # the silent clients' time, and the machine's
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set these limits")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that every user may write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@needs_root
@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case["limit"])
def test_cell_of_limits(case: dict[str, Any], folder: Path) -> None:
    with live_shim(folder / "log", case.get("before", ()), **SETTINGS) as live:
        worker = _worker(live)
        with _silent_clients(live, case["silent"]):
            answers = _ask(live, 20)
        assert worker.is_running(), live.log.read_text()
        assert {200} <= answers <= ({200, None} if case.get("refused") else {200})
        live.process.send_signal(signal.SIGHUP)
        if case.get("reloads", True):
            worker.wait(LONGEST_SECONDS)
        assert {200} == _ask(live, 5)
        until(lambda: all(text in live.log.read_text() for text in case.get("log", ())), 5)
    assert "Traceback" not in live.log.read_text()


def _worker(live: Live) -> psutil.Process:
    (worker,) = psutil.Process(live.process.pid).children()
    return worker


@contextlib.contextmanager
def _silent_clients(live: Live, number: int) -> Iterator[None]:
    """Connect without sending anything; a full backlog may leave some of them out."""
    address = urlsplit(live.url)
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((str(address.hostname), address.port))
        time.sleep(0.5)
        yield


def _ask(live: Live, times: int) -> set[int | None]:
    return {_status(f"{live.url}/v2/") for _ in range(times)}


def _status(url: str) -> int | None:
    """Return the status, or None if the connection was closed without an answer."""
    try:
        return requests.get(url, timeout=LONGEST_SECONDS).status_code
    except requests.ConnectionError:
        return None
