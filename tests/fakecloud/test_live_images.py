"""The embedded image API in a process: how much it does in a minute, and hostile uploads."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from support.live import Live, live_shim, until, workers_of

pytestmark = pytest.mark.live

MIB = 2**20
MOST_SECONDS = 60
MOST_MEMORY = 150 * MIB
DEMO = {"X-Auth-Token": "demo", "Accept": "application/json"}
OCTETS = {**DEMO, "Content-Type": "application/octet-stream"}
NEW = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    (folder := tmp_path / "data").mkdir()
    environ = {"SHIM_BACKEND": "memory", "TMPDIR": str(folder), "SHIM_REQUEST_TIMEOUT": "5"}
    with live_shim(tmp_path / "log", SHIM_CLIENT_TIMEOUT="5", **environ) as found:
        yield found


def files(folder: Path) -> list[Path]:
    """Return the files with the data of images."""
    return list(folder.glob("data/nova-image-shim-*/*"))


def new_image(session: requests.Session, url: str) -> str:
    answer = session.post(f"{url}/image/v2/images", json=NEW, headers=DEMO, timeout=30)
    assert 201 == answer.status_code
    return f"{url}/image/v2/images/{answer.json()['id']}"


def memory(live: Live) -> int:
    """Return the resident memory of the worker."""
    (worker,) = workers_of(live.process.pid)
    return int(psutil.Process(worker).memory_info().rss)


def test_a_thousand_images_and_200_mb_take_less_than_a_minute(live: Live, tmp_path: Path) -> None:
    started, peak = time.monotonic(), 0
    with requests.Session() as session:
        paths = [new_image(session, live.url) for _ in range(1000)]
        peak = max(peak, memory(live))
        block = os.urandom(MIB)
        answer = session.put(
            f"{paths[0]}/file", data=(block for _ in range(200)), headers=OCTETS, timeout=60
        )
        assert 204 == answer.status_code
        peak = max(peak, memory(live))
        with session.get(f"{paths[0]}/file", headers=DEMO, stream=True, timeout=60) as download:
            sizes = [len(chunk) for chunk in download.iter_content(MIB)]
        assert 200 * MIB == sum(sizes) == int(download.headers["Content-Length"])
        peak = max(peak, memory(live))
        listed = session.get(f"{live.url}/v2/demo/images?limit=1000", headers=DEMO, timeout=30)
        assert 1000 == len(listed.json()["images"])
    seconds = time.monotonic() - started
    print(f"{seconds:.1f} s, {peak / MIB:.0f} MiB")
    assert (MOST_SECONDS > seconds, MOST_MEMORY > peak) == (True, True), (seconds, peak / MIB)
    assert [200 * MIB] == [path.stat().st_size for path in files(tmp_path)]


def send(url: str, head: dict[str, str], body: bytes) -> socket.socket:
    """Send the head of an upload and a part of its body."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
    lines = [f"PUT {parts.path}/file HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in {**OCTETS, **head}.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def read_all(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as file:
        return file.read()


def status(path: str) -> tuple[str, Any]:
    image = requests.get(path, headers=DEMO, timeout=30).json()
    return image["status"], image["size"]


def test_gigabytes_announced_are_refused_at_once(live: Live, tmp_path: Path) -> None:
    path = new_image(requests.Session(), live.url)
    head = {"Content-Length": str(2**40), "Connection": "close"}
    with send(path, head, b"x" * 1000) as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "The incoming image is too large" in answer.decode()
    assert (("queued", None), []) == (status(path), files(tmp_path))


@pytest.mark.parametrize("head", [{"Content-Length": "9000000"}, {"Transfer-Encoding": "chunked"}])
def test_an_upload_that_breaks_off_leaves_nothing(
    head: dict[str, str], live: Live, tmp_path: Path
) -> None:
    path = new_image(requests.Session(), live.url)
    body = (
        b"200000\r\n" + bytes(2 * MIB) + b"\r\n" if "Content-Length" not in head else bytes(2 * MIB)
    )
    with send(path, head, body):
        until(lambda: files(tmp_path))
        assert ("saving", None) == status(path)
    until(lambda: ("queued", None) == status(path))
    until(lambda: not files(tmp_path))
    again = requests.put(f"{path}/file", data=b"12345", headers=OCTETS, timeout=30)
    assert (204, ("active", 5)) == (again.status_code, status(path))


def test_the_files_go_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    environ = {"SHIM_BACKEND": "memory", "TMPDIR": str(tmp_path / "data")}
    with live_shim(tmp_path / "log", **environ) as live:
        path = new_image(requests.Session(), live.url)
        requests.put(f"{path}/file", data=bytes(2 * MIB), headers=OCTETS, timeout=30)
        assert 1 == len(files(tmp_path))
    assert [] == list((tmp_path / "data").glob("nova-image-shim-*"))
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_rule_spoils_a_download(live: Live) -> None:
    session = requests.Session()
    path = new_image(session, live.url)
    session.put(f"{path}/file", data=bytes(MIB), headers=OCTETS, timeout=30)
    rule = json.dumps({"path": "/image/v2/images/*/file", "body": "cut"})
    session.post(f"{live.url}/_fake/rules", rule, headers={"Content-Type": "application/json"})
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session.get(f"{path}/file", headers=DEMO, timeout=30)
