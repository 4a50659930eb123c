"""The container starts as an unprivileged user on a read-only file system."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.live import free_port
from support.paths import ROOT

from .containerfile import Stage, build, container_command, instructions, may_mount
from .fronts import DEPLOY, GUIDE

CONTAINERFILE = DEPLOY / "container" / "Containerfile"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    if not may_mount():
        pytest.skip("the process may not create mount namespaces; run `sudo make test-deploy`")
    return build(CONTAINERFILE, ROOT, tmp_path_factory.mktemp("container"))


@pytest.fixture
def container(stage: Stage, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Return the URL and the process of a container with the embedded store."""
    port = free_port()
    environ = {
        "PATH": os.defpath,
        **stage.environ,
        "SHIM_BACKEND": "memory",
        "SHIM_ALLOW_PUBLIC": "1",
        "SHIM_BIND": f"0.0.0.0:{port}",
    }
    command = container_command(stage, *stage.commands["ENTRYPOINT"], *stage.commands["CMD"])
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        wait_until_up(f"http://127.0.0.1:{port}/healthcheck", process, tmp_path / "log")
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            # The container's first process: a change of user cancels `--kill-child`.
            for pid, _ in children(process.pid) or [(process.pid, "")]:
                os.kill(pid, signal.SIGKILL)
        process.wait(15)
        with pytest.raises(requests.ConnectionError):  # no process of it survives
            requests.get(f"http://127.0.0.1:{port}/healthcheck", timeout=5)


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_it_serves_requests(container: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, _process = container
    answer = requests.get(f"{url}/v2/demo/images", headers={"X-Auth-Token": "demo"}, timeout=10)
    assert 200 == answer.status_code
    assert 1 < len(answer.json()["images"])


def test_no_process_runs_as_root(
    container: tuple[str, subprocess.Popen[bytes]], stage: Stage
) -> None:
    master = children(container[1].pid)
    workers = [each for pid, _ in master for each in children(pid)]
    assert (1, 1) == (len(master), len(workers))
    assert {stage.user.partition(":")[0]} == {user for _, user in [*master, *workers]}


def children(pid: int) -> list[tuple[int, str]]:
    """Return process and user id of each child of a process."""
    command = ["ps", "-o", "pid=,uid=", "--ppid", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [(int(line.split()[0]), line.split()[1]) for line in listed.splitlines()]


def test_the_healthcheck_works(stage: Stage, container: tuple[str, object]) -> None:
    command = container_command(stage, *stage.commands["HEALTHCHECK"])
    port = container[0].rpartition(":")[2]
    ends = [
        subprocess.run(command, env=environ, capture_output=True, check=False)
        for environ in (
            {"PATH": os.defpath, **stage.environ, "SHIM_BIND": f"0.0.0.0:{number}"}
            for number in (port, "1")
        )
    ]
    assert [0, 1] == [end.returncode for end in ends], ends[0].stderr


def test_without_settings_it_lists_the_missing_ones(stage: Stage) -> None:
    command = container_command(stage, *stage.commands["ENTRYPOINT"], *stage.commands["CMD"])
    environ = {"PATH": os.defpath, **stage.environ}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 != done.returncode
    assert "OS_AUTH_URL is not set: the login to Keystone needs it" in done.stderr


def test_it_stops_on_the_containers_stop_signal(
    container: tuple[str, subprocess.Popen[bytes]],
) -> None:
    _url, process = container
    (number,) = [
        rest for word, rest in instructions(CONTAINERFILE.read_text()) if word == "STOPSIGNAL"
    ]
    ((master, _),) = children(process.pid)
    os.kill(master, signal.Signals[number])
    assert 0 == process.wait(15)


def test_the_build_context_holds_little_more_than_it_copies() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    seen = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        path
        for word, rest in instructions(CONTAINERFILE.read_text())
        if word == "COPY" and "--from" not in rest
        for path in rest.split()[:-1]
    }
    assert copied == seen


def options_of(*words: str) -> list[set[str]]:
    """Return the options of each command in Containerfile and the guide that has these words."""
    texts = [CONTAINERFILE.read_text().replace("\\\n", " "), GUIDE.read_text()]
    lines = [line for text in texts for line in re.split(r"\n|&&", text)]
    found = [line.split() for line in lines if set(words) <= set(line.split())]
    return [{word for word in line if word.startswith("--")} for line in found]


def test_it_and_the_machines_install_what_is_locked() -> None:
    locked = options_of("install", "requirements.lock")
    project = options_of("install", ".")
    assert len(locked) == len(project) == 2  # in the container, and by the steps for systemd
    for options in locked:
        assert {"--require-hashes", "--only-binary"} <= options
    for options in project:
        assert {"--no-deps", "--no-build-isolation"} <= options
    assert [] == options_of("pip", "install", "nova-image-shim")


def test_its_base_is_an_argument_with_an_exact_tag() -> None:
    steps = instructions(CONTAINERFILE.read_text())
    (argument,) = [rest for word, rest in steps if word == "ARG"]
    name, _, image = argument.partition("=")
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+", image)
    assert {f"${{{name}}}"} == {rest.split()[0] for word, rest in steps if word == "FROM"}
