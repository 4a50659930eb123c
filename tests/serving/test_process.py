"""The process under `nova-image-shim serve`: what it listens on, its streams, its upgrade."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from chaos.traffic import Traffic
from support.fakes import FakeKeystone
from support.live import COMMAND, clean_environ, free_port, glance_environ, serving, until
from support.paths import ROOT

pytestmark = pytest.mark.live

GUNICORN = f"{sys.executable} -m gunicorn -c {ROOT}/app/gunicorn.conf.py"


@contextmanager
def started_by(command: str, folder: Path) -> Iterator[str]:
    """Start the embedded cloud with a command of the shell, and yield its address when it answers.

    It must end with status 0.
    """
    bind = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}"],
        env=clean_environ() | {"SHIM_BACKEND": "memory", "SHIM_BIND": bind},
        cwd=folder,
    )
    try:
        until(lambda: process.poll() is not None or answers(f"http://{bind}"))
        yield f"http://{bind}"
    finally:
        process.terminate()
        assert 0 == process.wait(20)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthcheck", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("command", [f"{COMMAND} serve", GUNICORN])
@pytest.mark.parametrize("closed", [">&- 2>log", "<&- >&- 2>log", "<&- >&- 2>&-", "2>&- >log"])
def test_it_serves_with_closed_streams(command: str, closed: str, tmp_path: Path) -> None:
    with started_by(f"{command} {closed}", tmp_path) as url:
        answer = requests.get(f"{url}/v2/demo/images", headers={"X-Auth-Token": "demo"}, timeout=10)
        assert 200 == answer.status_code
    if "log" in closed:
        assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("command", "status"), [("check", 2), ("translate <images", 0), ("usage images", 2)]
)
def test_a_command_with_a_closed_output_ends_as_usual(
    command: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "images").write_text('[{"id": "i1"}]')
    shell = ["/bin/sh", "-c", f"exec {COMMAND} {command} >&-"]
    done = subprocess.run(
        shell, cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, check=False
    )
    assert (status, False) == (done.returncode, "Traceback" in done.stderr)


def test_with_a_certificate_it_announces_https(tmp_path: Path) -> None:
    trustme = pytest.importorskip(
        "trustme", reason="trustme is not installed; run `make test-live`"
    )
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pem = tmp_path / "both.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    with serving(tmp_path, GUNICORN_CMD_ARGS=f"--certfile {pem}") as (url, said):
        assert url.startswith("https://127.0.0.1:")
        answer = requests.get(f"{url}/v2", timeout=10, verify=str(tmp_path / "ca.pem"))
        assert f"{url}/v2/" == answer.json()["version"]["links"][0]["href"]
    assert "http://" not in "".join(said)


def ask(path: str, request: bytes) -> str:
    """Send a request to a Unix socket and return the response."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()


def test_a_unix_socket_is_for_its_group_and_trusts_no_header(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with serving(tmp_path, SHIM_BIND=f"unix:{path}") as (url, said):
        assert (f"unix:{path}", [f"nova-image-shim ready: unix:{path}\n"]) == (url, said)
        assert 0o660 == stat.S_IMODE(Path(path).stat().st_mode)
        bare = ask(path, b"GET /v2/ HTTP/1.0\r\n\r\n")
        assert "HTTP/1.0 200 OK" == bare.partition("\r\n")[0]
        assert '"href":"http://localhost/v2/"' in bare
        # gunicorn trusts every peer on a Unix socket.
        forged = ask(
            path,
            b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Ssl: on\r\nX-Forwarded-Protocol: ssl\r\nScript-Name: /evil\r\n"
            b"SCRIPT_NAME: /v2\r\nPATH_INFO: /healthcheck\r\nREMOTE_USER: admin\r\n\r\n",
        )
        assert bare.partition("\r\n\r\n")[2] in forged
    assert not Path(path).exists()


def test_a_unix_socket_of_gunicorns_own_option_is_for_its_group_too(
    tmp_path: Path, keystone: FakeKeystone
) -> None:
    path = f"{tmp_path}/socket"
    environ = glance_environ(keystone) | {"GUNICORN_CMD_ARGS": f"--bind unix:{path}"}
    with serving(tmp_path, **environ) as (url, _said):
        assert f"unix:{path}" == url
        assert 0o660 == stat.S_IMODE(Path(path).stat().st_mode)


@pytest.mark.parametrize("keep", [True, False], ids=["kept connections", "new connections"])
def test_an_upgrade_under_load_fails_no_request(keep: bool, tmp_path: Path) -> None:
    pid, new_pid = tmp_path / "pid", tmp_path / "pid.2"
    options = {"SHIM_FAKE_OPEN": "1", "GUNICORN_CMD_ARGS": f"--pid {pid}"}
    with serving(tmp_path, **options) as (url, _said), ExitStack() as stack:
        old = int(pid.read_text())
        with Traffic(f"{url}/v2/demo/images", 6, keep=keep) as traffic:
            traffic.wait_for(20)
            os.kill(old, signal.SIGUSR2)
            until(lambda: new_pid.exists() and new_pid.read_text().strip())
            new = int(new_pid.read_text())
            stack.callback(os.kill, new, signal.SIGTERM)
            traffic.wait_for(20)
            os.kill(old, signal.SIGTERM)
            until(lambda: pid.exists() and int(pid.read_text()) == new)  # it is promoted
            traffic.wait_for(40)
    assert {"200"} == set(traffic.outcomes), traffic.outcomes
