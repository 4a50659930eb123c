"""Files that are wrong at a reload: `reloads.yaml`."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import psutil
import pytest
import requests
import yaml
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim, until

RELOADS = yaml.safe_load(Path(__file__).with_name("reloads.yaml").read_text())
TOKENS = {"memory": "demo", "glance": token_of("demo")}
REFUSED = "the reload is refused, the present workers continue: nova-image-shim cannot start:"


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """Return the settings of a service with a fake Keystone and Glance."""
    glance, keystone = FakeGlance(), FakeKeystone()
    with serve(glance) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        yield glance_environ(keystone)


@pytest.mark.parametrize("case", RELOADS, ids=lambda case: case["fault"])
def test_cell_of_reloads(case: dict[str, Any], environ: dict[str, str], tmp_path: Path) -> None:
    file, log = tmp_path / "file", tmp_path / "log"
    good = _named_file(case["file"], environ)
    file.write_bytes(good)
    token = TOKENS[environ["SHIM_BACKEND"]]
    with live_shim(log, **environ, **{case["file"]: str(file)}) as live:
        worker = _worker(live)
        assert worker
        _become(file, case["becomes"])
        live.process.send_signal(signal.SIGHUP)
        until(lambda: REFUSED in log.read_text(), 10)
        (line,) = [line for line in log.read_text().splitlines() if REFUSED in line]
        assert case["says"] in line
        assert worker == _worker(live)
        assert 200 == _list(live, token)
        worker.kill()  # the next one reads nothing from disk
        until(lambda: _worker(live) not in (None, worker), 10)
        assert 200 == _list(live, token)
        worker = _worker(live)
        file.write_bytes(good)
        live.process.send_signal(signal.SIGHUP)
        until(lambda: _worker(live) not in (None, worker), 10)
        assert 200 == _list(live, token)
    assert "Traceback" not in log.read_text()


def _named_file(variable: str, environ: dict[str, str]) -> bytes:
    """Return what the variable's file begins with, and adapt the other settings to it."""
    if variable == "OS_CACERT":
        return Path(certifi.where()).read_bytes()
    if variable == "SHIM_CONFIG_FILE":
        return f"[keystone_authtoken]\npassword = {environ.pop('OS_PASSWORD')}\n".encode()
    environ["SHIM_BACKEND"] = "memory"
    return b"images: []"


def _become(file: Path, content: str | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content.encode("latin-1"))


def _worker(live: Live) -> psutil.Process | None:
    """Return the only worker, or None while there is another number of them."""
    workers = psutil.Process(live.process.pid).children()
    return workers[0] if len(workers) == 1 else None


def _list(live: Live, token: str) -> int:
    headers = {"X-Auth-Token": token}
    return requests.get(f"{live.url}/v2/demo/images", headers=headers, timeout=20).status_code
