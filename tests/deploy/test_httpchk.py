"""HAProxy's own health check, `option httpchk` without more, finds the service up."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

import pytest
import requests
from real.processes import Daemon, free_ports, listens
from support.live import until

if TYPE_CHECKING:
    from pathlib import Path

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
pytestmark = pytest.mark.skipif(
    HAPROXY is None, reason="haproxy is not installed; run `apt-get install haproxy`"
)

# As the OpenStack HA guide has it: the check is `OPTIONS / HTTP/1.0`, without a `Host`.
CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen compute
    bind 127.0.0.1:{port}
    option httpchk
    stats enable
    stats uri /stats
    server shim {shim} check inter 100
"""


def check(stats: str) -> tuple[str, str, str]:
    """Return the server's state, and the result and the status of its last check."""
    table = requests.get(f"{stats};csv", timeout=10).text.removeprefix("# ")
    (row,) = (row for row in csv.DictReader(table.splitlines()) if row["svname"] == "shim")
    return row["status"], row["check_status"].removeprefix("* "), row["check_code"]


def test_a_bare_httpchk_finds_the_service_up(memory_shim: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    text = CONFIGURATION.format(port=port, shim=memory_shim.removeprefix("http://"))
    (tmp_path / "haproxy.cfg").write_text(text)
    command = [str(HAPROXY), "-db", "-f", str(tmp_path / "haproxy.cfg")]
    daemon = Daemon(command, tmp_path, lambda: listens(port))
    url = f"http://127.0.0.1:{port}"
    daemon.start()
    try:
        until(lambda: check(f"{url}/stats")[2])
        assert ("UP", "L7OK", "200") == check(f"{url}/stats")
        answer = requests.get(f"{url}/v2/demo/images", headers={"X-Auth-Token": "demo"}, timeout=10)
        assert 200 == answer.status_code
    finally:
        daemon.kill()
    seen = requests.get(f"{memory_shim}/_fake/requests", timeout=10).json()["requests"]
    assert ("OPTIONS", "/", 200) in {
        (each["method"], each["path"], each["status"]) for each in seen
    }
