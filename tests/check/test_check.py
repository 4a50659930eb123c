"""`check` over the fake Keystone and Glance: answers that the real ones cannot be made to give.

tests/real/test_check.py has the same command on the real services.
"""

import json
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fakes import FakeGlance, FakeKeystone, says, token_of
from support.live import free_port, glance_environ
from support.peers import hears, scripted, sends

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


def found(environ: dict[str, str], token_file: Path | None = None) -> list[tuple[Level, str, str]]:
    """Return the findings that are not ok."""
    every = list(findings(environ, token_file))
    return [tuple(finding) for finding in every if finding.level is not Level.OK]  # type: ignore[misc]


def texts(environ: dict[str, str], token_file: Path | None = None) -> list[str]:
    return [text for _, text, _ in found(environ, token_file)]


def test_every_problem_in_the_settings_is_an_error() -> None:
    fix = "Fix it in the environment; README.md has the table of settings."
    assert [
        (Level.ERROR, "SHIM_THREADS='x' must be a whole number from 1 to 256.", fix),
        (Level.ERROR, "SHIM_COMPRESS='2' must be 1 (on) or 0 (off).", fix),
    ] == found(MEMORY | {"SHIM_THREADS": "x", "SHIM_COMPRESS": "2"})


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


def test_too_small_a_thread_pool_is_a_warning(environ: dict[str, str], token_file: Path) -> None:
    text = (
        "GUNICORN_CMD_ARGS sets a pool of 16 threads, but SHIM_THREADS=16 and its queues need 100: "
        "while Glance hangs, even /healthcheck would wait."
    )
    fix = "Remove --threads from GUNICORN_CMD_ARGS and set SHIM_THREADS instead."
    environ["GUNICORN_CMD_ARGS"] = "--keep-alive 5 --threads 16"
    assert [(Level.WARNING, text, fix)] == found(environ, token_file)


def test_a_server_that_is_not_memcached_is_a_warning(glance: FakeGlance) -> None:
    server = glance.url.removeprefix("http://")
    text = f"The server at {server} is not memcached."
    assert [(Level.WARNING, text, "Correct SHIM_MEMCACHED_SERVERS.")] == found(
        MEMORY | {"SHIM_MEMCACHED_SERVERS": server}
    )


@pytest.fixture
def few_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_files")
def test_too_few_open_files_are_a_warning() -> None:
    assert [] == texts(MEMORY | {"SHIM_THREADS": "156"})
    assert ["A process may open 1000 files, but 157 threads may need 1006 connections."] == texts(
        MEMORY | {"SHIM_THREADS": "157"}
    )


NO_KEYSTONE = "There is no Keystone v3 at {keystone}: it returns "
NO_GLANCE = "There is no Glance v2 at {glance}: it returns "
NOT_FOUND = says(404, {"error": {"code": 404, "message": "Nothing here"}})
NO_LOGIN = "Keystone does not issue a token to the service user: "
MAY_NOT = "The service user may not validate other users' tokens: "
USUAL = None
# Keystone is asked for its version, a login and a validation.
KEYSTONE_SAYS: list[tuple[list[Any], str]] = [
    ([says(503)], "Keystone at {keystone} returns 503."),
    ([says(200, b"<html>", Content_Type="text/html")], NO_KEYSTONE + "200."),
    ([says(200, {"versions": {"values": [{"id": "v2.0"}]}})], NO_KEYSTONE + "200."),
    ([says(200, [])], NO_KEYSTONE + "200."),
    ([says(302, b"", Location="http://elsewhere/")], NO_KEYSTONE + "302."),
    (
        [USUAL, says(401)],
        "The service user nova-image-shim cannot log in to the project service: the project does "
        "not exist, or the user has no role in it.",
    ),
    ([USUAL, NOT_FOUND], "Login is not possible at {keystone}: Nothing here (HTTP 404)."),
    ([USUAL, says(503)], NO_LOGIN + "Service Unavailable (HTTP 503)."),
    ([USUAL, USUAL, says(403)], MAY_NOT + "Keystone returns 403."),
    (
        [USUAL, USUAL, says(404)],
        "Keystone does not validate the service user's own token: {keystone}/auth/tokens returns "
        "404.",
    ),
]
REJECTED = "Glance at {glance} rejects the service user's token: it returns 401."
GLANCE_SAYS: list[tuple[list[Any], str]] = [
    ([says(401), says(401)], REJECTED),  # keystoneauth logs in again and asks once more
    ([says(503)], "Glance at {glance}/v2/images?limit=1 returns 503."),
    ([says(404)], NO_GLANCE + "404."),
    ([says(200, b"<html>")], NO_GLANCE + "200."),
    ([says(200, {"images": "none"})], NO_GLANCE + "200."),
    ([says(300, b"", Location="http://elsewhere/")], NO_GLANCE + "300."),
]


@pytest.mark.parametrize(
    ("server", "answers", "text"),
    [
        *(("keystone", *case) for case in KEYSTONE_SAYS),
        *(("glance", *case) for case in GLANCE_SAYS),
    ],
)
def test_an_answer_that_is_of_no_use_is_an_error(
    server: str,
    answers: list[Any],
    text: str,
    environ: dict[str, str],
    token_file: Path,
    keystone: FakeKeystone,
    glance: FakeGlance,
) -> None:
    fake = keystone if server == "keystone" else glance
    fake.answers[:] = [answer or fake.usual for answer in answers]
    text = text.format(keystone=environ["OS_AUTH_URL"], glance=glance.url)
    assert [text] == texts(environ, token_file)


def test_a_truncated_answer_is_an_error(environ: dict[str, str]) -> None:
    with scripted([hears, sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")]) as server:
        (text,) = texts(environ | {"OS_AUTH_URL": server.url})
    assert text.startswith(f"Keystone does not answer at {server.url}: ")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it does not contain a token."),
        (b"two words", "it does not contain a token."),
        ("é".encode(), "'ascii' codec can't decode"),
        (None, "[Errno 2] No such file or directory"),
    ],
)
def test_a_file_without_a_token_is_an_error(
    content: bytes | None, text: str, environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    (found_text,) = texts(environ, file)
    assert found_text.startswith(f"--token-file {file}: {text}")


def test_a_byte_order_mark_before_a_token_is_accepted(
    environ: dict[str, str], token_file: Path
) -> None:
    token_file.write_text(token_file.read_text(), encoding="utf-8-sig")
    assert [] == found(environ, token_file)


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
    start = f"warning memcached at {nobody} does not answer: Connection refused. Start it, or"
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
        "text": f"Keystone at {environ['OS_AUTH_URL']} returns 503.",
        "fix": "See the logs of Keystone and of the proxy in front of it.",
    } == json.loads(out)[-1]


def test_a_silent_server_is_an_error(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v3"
        found = texts(environ | {"OS_AUTH_URL": url, "SHIM_KEYSTONE_TIMEOUT": "0.05"})
    assert [f"Keystone does not answer at {url}: no answer in time."] == found


REJECTED_USER = (
    "Keystone rejects the service user nova-image-shim: the name, password or domain is wrong, or "
    "the user is disabled."
)
REJECTED_CREDENTIAL = (
    "Keystone rejects the application credential an-id: it does not exist, has expired, or its "
    "secret is wrong."
)
CREDENTIAL = {
    "OS_APPLICATION_CREDENTIAL_ID": "an-id",
    "OS_APPLICATION_CREDENTIAL_SECRET": "a-wrong-secret",
}
NO_INTERNAL = "The catalog has no internal endpoint of Glance{where}: it has public in R."


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, None),
        ({"OS_PASSWORD": "wrong"}, REJECTED_USER),
        (CREDENTIAL, REJECTED_CREDENTIAL),
        (
            {"OS_REGION_NAME": "S"},
            "The catalog has no public endpoint of Keystone in the region S: it has admin in R, "
            "internal in R, public in R.",
        ),
        ({"OS_INTERFACE": "internal"}, NO_INTERNAL.format(where=" in the region R")),
        ({"OS_INTERFACE": "internal", "OS_REGION_NAME": ""}, NO_INTERNAL.format(where="")),
    ],
)
def test_settings_that_do_not_fit_the_cloud_are_an_error(
    changes: dict[str, str], text: str | None, environ: dict[str, str], token_file: Path
) -> None:
    assert ([text] if text else []) == texts(environ | changes, token_file)


def test_a_service_user_without_a_validating_role_is_an_error(environ: dict[str, str]) -> None:
    assert [MAY_NOT + "its roles are member."] == texts(environ)


def test_an_unknown_application_credential_is_an_error(
    environ: dict[str, str], keystone: FakeKeystone
) -> None:
    unknown = {"error": {"code": 404, "message": "Could not find Application Credential: an-id."}}
    keystone.answers[:] = [keystone.usual, says(404, unknown)]
    assert [REJECTED_CREDENTIAL] == texts(environ | CREDENTIAL)


def test_tls_where_there_is_none_is_an_error(environ: dict[str, str]) -> None:
    url = environ["OS_AUTH_URL"].replace("http:", "https:")
    ((_, text, fix),) = found(environ | {"OS_AUTH_URL": url})
    assert text.startswith(f"Keystone at {url} does not speak TLS: ")
    assert "Use http:// in OS_AUTH_URL, or enable TLS there." == fix
