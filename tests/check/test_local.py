"""What `check` finds on this machine: files that anyone can read, and stop times that clash."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import CASES
from support.peers import scripted, sends

from nova_image_shim.check.findings import Level
from nova_image_shim.check.local import local_findings
from nova_image_shim.settings import Settings

MEMORY = {"SHIM_BACKEND": "memory"}
LOGIN = "auth_url = http://k\nuser_id = u\nproject_id = p\n"
IN_ENVIRON = {"OS_PASSWORD": "p"}


def found(environ: dict[str, str]) -> list[tuple[str, str]]:
    """Return text and fix of each warning."""
    findings = list(local_findings(Settings.from_environ(environ)))
    assert {Level.WARNING} >= {finding.level for finding in findings}
    return [(finding.text, finding.fix) for finding in findings]


@pytest.mark.parametrize(
    ("line", "has_secret"),
    [
        ("password = hunter2", True),
        ("memcache_secret_key=hunter2", True),
        ("application_credential_secret : 'hunter2'", True),
        ("connection = mysql+pymysql://nova:hunter2@db/nova", True),
        ("password =", False),
        ("# password = hunter2", False),
        (";password = hunter2", False),
        ("password_length = 12", False),
        ("transport_url = rabbit://controller:5672/", False),
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_configuration_file_with_a_password_is_closed_to_others(
    line: str, has_secret: bool, mode: int, tmp_path: Path
) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(f"[keystone_authtoken]\n{LOGIN}[other]\n{line}\n")
    path.chmod(mode)
    environ = IN_ENVIRON | {"SHIM_CONFIG_FILE": str(path)}
    text = f"{path} contains a password, and every user of this machine can read it."
    is_open = bool(mode & 0o004)
    assert ([(text, f"Run: chmod o-r {path}")] if has_secret and is_open else []) == found(environ)


@pytest.mark.parametrize(("mode", "count"), [(0o644, 1), (0o600, 0)])
def test_a_clouds_file_with_a_password_is_closed_to_others(
    mode: int, count: int, tmp_path: Path
) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_bytes((CASES / "clouds.yaml").read_bytes())
    path.chmod(mode)
    environ = {"OS_CLOUD": "by-password", "OS_CLIENT_CONFIG_FILE": str(path)}
    assert count == len(found(environ))


def test_a_memcached_that_answers_is_ok() -> None:
    with scripted([sends(b"VERSION 1.6.38\r\n")]) as server:
        address = server.url.removeprefix("http://")
        environ = MEMORY | {"SHIM_MEMCACHED_SERVERS": address}
        (finding,) = local_findings(Settings.from_environ(environ))
    assert f"ok      memcached answers at {address}." == str(finding)


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return how to make a systemctl that prints something."""

    def make(script: str) -> None:
        program = tmp_path / "systemctl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return make


@pytest.mark.parametrize(
    ("allowed", "is_long_enough"),
    [
        ("1min 15s", False),
        ("1min 39.999s", False),
        ("90s", False),
        ("500ms", False),
        ("1min 40s", True),
        ("2min", True),
        ("1h 500ms", True),
        ("2d", True),
        ("infinity", True),
    ],
)
def test_the_units_time_to_stop_is_compared(
    allowed: str, is_long_enough: bool, systemctl: Callable[[str], None]
) -> None:
    systemctl(f"echo 'TimeoutStopUSec={allowed}'; echo LoadState=loaded")
    text = (
        f"systemd kills nova-image-shim.service {allowed} after it tells it to stop, but requests "
        "may take 90 s to end."
    )
    warnings = [] if is_long_enough else [(text, "Set TimeoutStopSec=100 in the unit.")]
    assert warnings == found(MEMORY)


@pytest.mark.parametrize(
    "script",
    [
        "echo TimeoutStopUSec=1min; echo LoadState=not-found",
        "echo 'Failed to connect to bus: Host is down' >&2; exit 1",
        "echo nonsense",
        "exit 127",
    ],
)
def test_without_a_unit_nothing_is_compared(script: str, systemctl: Callable[[str], None]) -> None:
    systemctl(script)
    assert [] == found(MEMORY)


def test_without_systemd_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert [] == found(MEMORY)
