"""`check` as a command, over the fake Keystone and Glance; test_table.py has what it says.

tests/real/test_check.py has the same command on the real services.
"""

import json
import socket
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from support.fakes import FakeGlance, FakeKeystone, says, token_of
from support.live import free_port, glance_environ

from nova_image_shim.check.command import findings
from nova_image_shim.check.findings import Level
from nova_image_shim.cli import main

MEMORY = {"SHIM_BACKEND": "memory"}


@pytest.fixture
def environ(keystone: FakeKeystone, glance: FakeGlance) -> dict[str, str]:
    return glance_environ(keystone) | {"OS_REGION_NAME": "R"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Return a file with a client's token; the fake service user lacks the validating role."""
    file = tmp_path / "token"
    file.write_text(f"{token_of('demo')}\n")
    return file


def found(environ: dict[str, str]) -> list[tuple[Level, str, str]]:
    """Return the findings that are not ok."""
    every = list(findings(environ))
    return [tuple(finding) for finding in every if finding.level is not Level.OK]  # type: ignore[misc]


def test_every_problem_in_the_settings_is_an_error() -> None:
    fix = "Correct it in the environment; docs/reference/settings.md describes them all."
    assert [
        (Level.ERROR, "SHIM_THREADS='x' must be a whole number from 1 to 256.", fix),
        (Level.ERROR, "SHIM_DOCS='2' must be 1 (on) or 0 (off).", fix),
    ] == found(MEMORY | {"SHIM_THREADS": "x", "SHIM_DOCS": "2"})


def test_without_settings_every_missing_one_is_an_error() -> None:
    *_, (level, text, fix) = missing = found({})
    assert (6, Level.ERROR) == (len(missing), level)
    assert "OS_PROJECT_DOMAIN_NAME or OS_PROJECT_DOMAIN_ID is not set" in text
    assert fix.endswith(" `nova-image-shim fake` serves an embedded cloud and needs no settings.")


def test_the_embedded_cloud_needs_nothing_else() -> None:
    assert [
        "The settings are valid.",
        "The embedded cloud needs nothing else (SHIM_BACKEND=memory).",
    ] == [finding.text for finding in findings(MEMORY)]


def test_a_server_that_is_not_memcached_is_a_warning(glance: FakeGlance) -> None:
    server = glance.url.removeprefix("http://")
    text = f"The server at {server} is not memcached."
    assert [(Level.WARNING, text, "Correct SHIM_MEMCACHED_SERVERS.")] == found(
        MEMORY | {"SHIM_MEMCACHED_SERVERS": server}
    )


@pytest.fixture
def program(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return the command, which gives its exit status and output."""

    def run(*arguments: str, **changes: str) -> tuple[int, str]:
        for name, value in (environ | changes).items():
            monkeypatch.setenv(name, value)
        return main(["check", *arguments]), capsys.readouterr().out

    return run


def test_each_finding_is_a_line(program: Callable[..., tuple[int, str]], token_file: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    status, out = program("--token-file", str(token_file), SHIM_MEMCACHED_SERVERS=nobody)
    first, second, *others = out.splitlines()
    assert (1, "ok      The settings are valid.") == (status, first)
    start = f"warning memcached at {nobody} does not answer: Connection refused. fix: Start it,"
    assert second.startswith(start)
    assert all(line.startswith("ok      ") for line in others)


def test_json_has_each_finding(
    program: Callable[..., tuple[int, str]], environ: dict[str, str], keystone: FakeKeystone
) -> None:
    keystone.answers.append(says(503))
    status, out = program("--json")
    assert 2 == status
    assert {
        "level": "error",
        "text": "The service user nova-image-shim cannot log in: Keystone at "
        f"{environ['OS_AUTH_URL']}/auth/tokens returns 503 with application/json.",
        "fix": "See the logs of Keystone and of the proxies on the way.",
    } == json.loads(out)[-1]


def test_a_text_that_the_terminal_cannot_show_is_escaped(
    environ: dict[str, str], keystone: FakeKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystone.answers.append(says(403, {"error": {"message": "verboten \u2713"}}))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", TextIOWrapper(out := BytesIO(), encoding="ascii"))
    assert 2 == main(["check"])
    assert out.getvalue().endswith(b"returns 403: verboten \\u2713.\n")


def test_a_silent_server_is_an_error(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v3"
        ((_, text, fix),) = found(environ | {"OS_AUTH_URL": url, "SHIM_KEYSTONE_TIMEOUT": "0.05"})
    who = "The service user nova-image-shim cannot log in"
    assert f"{who}: Keystone at {url}/auth/tokens does not answer: no answer in time." == text
    assert "" == fix
