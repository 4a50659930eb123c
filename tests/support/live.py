"""The service under gunicorn, with a search of its output for secrets."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from support import canary
from support.fakes import FakeKeystone
from support.paths import ROOT

CONFIG = ROOT / "tests" / "support" / "gunicorn_canary.py"
COMMAND = Path(sys.executable).with_name("nova-image-shim")
_READY = re.compile(r"nova-image-shim ready: (\S+)\n")


def free_port() -> int:
    """Return a loopback port that is not in use."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Live:
    """A running service: its address, gunicorn's process, and the file of its output."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def live_shim(
    log: Path, wrapper: Sequence[str] = (), stderr: int = subprocess.STDOUT, /, **environ: str
) -> Iterator[Live]:
    """Run the service under gunicorn, and search its output for secrets when it ends.

    Args:
        log: the file for its standard output and error.
        wrapper: a command that runs the command after it, such as `prlimit`.
        stderr: a descriptor for its standard error, if it is not the file.
        environ: settings; without SHIM_BIND it gets a free port.
    """
    environ = {"SHIM_BIND": f"127.0.0.1:{free_port()}"} | environ
    url = f"http://{environ['SHIM_BIND']}"
    answers = log.with_name(f"{log.name}.answers")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "gunicorn", "-c", CONFIG],
            cwd=ROOT,
            env=clean_environ() | environ | {"CANARY_ANSWERS": str(answers)},
            stdout=output,
            stderr=stderr,
        )
    try:
        _wait_until_up(process, f"{url}/healthcheck", log)
        yield Live(url, process, log)
    finally:
        metrics = _metrics(environ)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    canary.note("pages of metrics", metrics, environ)
    canary.note("logs", log.read_text(errors="replace"), environ)
    canary.note_answers(answers)


def _metrics(environ: Mapping[str, str]) -> str:
    """Return the page that Prometheus would scrape, empty if there is none."""
    if bind := environ.get("SHIM_METRICS_BIND"):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{bind}/metrics", timeout=10).text
    return ""


@contextlib.contextmanager
def shim(log: Path, **environ: str) -> Iterator[str]:
    """Run the service as `live_shim` does, and yield its address."""
    with live_shim(log, **environ) as live:
        yield live.url


@contextlib.contextmanager
def serving(folder: Path, **environ: str) -> Iterator[tuple[str, list[str]]]:
    """Run `nova-image-shim serve` away from the repository.

    Yields the address that it names when it is ready, and its lines so far. Its log is in `log`.
    """
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, "serve"],
            cwd=folder,
            env=clean_environ() | {"SHIM_BACKEND": "memory", "SHIM_BIND": "127.0.0.1:0"} | environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        said = []
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if match := _READY.fullmatch(line):
                yield match[1], said
                return
        raise AssertionError((folder / "log").read_text())
    finally:
        process.terminate()
        process.communicate(timeout=20)


def workers_of(master: int) -> set[int]:
    """Return the process ids of gunicorn's workers."""
    return set(map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split()))


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def clean_environ() -> dict[str, str]:
    """Return this process's environment without the service's settings."""
    ours = ("SHIM_", "OS_", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def glance_environ(keystone: FakeKeystone) -> dict[str, str]:
    """Return the settings that log the service in to the fake Keystone."""
    return {
        "SHIM_BACKEND": "glance",
        "WEB_CONCURRENCY": "1",
        "OS_AUTH_URL": f"{keystone.url}/v3",
        "OS_USERNAME": "nova-image-shim",
        "OS_PASSWORD": keystone.password,
        "OS_PROJECT_NAME": "service",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.02)
    raise AssertionError(f"the service did not start:\n{log.read_text()}")
