"""Identity v2.0 while Keystone refuses, is away, slow or answers nonsense."""

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from support.fakes import says
from support.identity_answers import CREDENTIALS, NO_TOKEN, error, login_v2
from support.live import free_port
from support.peers import hears, scripted, sends, waits
from werkzeug.wrappers import Request, Response

from .conftest import EmbeddedKeystone, Front
from .test_calls import AWAY, REFUSED

SENT = {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}
SECRET = "a-password-that-keystone-repeats"


def keystone_says(status: int, message: str, **headers: str) -> Callable[[Request], Response]:
    return says(status, {"error": {"code": status, "message": message, "title": "x"}}, **headers)


def token_body(**changes: Any) -> dict[str, Any]:
    usual = {
        "methods": ["password"],
        "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
        "audit_ids": ["a"],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2036-01-01T00:00:00.000000Z",
    }
    return {"token": usual | changes}


EXPIRED = "The password is expired and needs to be changed."
SEVERAL = (
    "More than one method of authentication is required for this user; identity v2.0 has only one."
)
MALFORMED = "The identity service does not accept an id, a name or a password of this form."
FORBIDDEN = "You are not authorized to perform the requested action."
ISSUED = {"X_Subject_Token": "a-token"}

# Keystone's answer to a login, and what the client gets.
ANSWERS: dict[str, tuple[Callable[[Request], Response], Any]] = {
    "a refusal": (keystone_says(401, SECRET), REFUSED),
    "an expired password": (
        keystone_says(401, "The password is expired and needs to be changed for user: u."),
        error(401, "Unauthorized", EXPIRED),
    ),
    "a receipt": (
        says(401, {"receipt": {}}, Openstack_Auth_Receipt="a-receipt"),
        error(401, "Unauthorized", SEVERAL),
    ),
    "a malformed value": (keystone_says(400, SECRET), error(400, "Bad Request", MALFORMED)),
    "a delegated token": (keystone_says(403, SECRET), error(403, "Forbidden", FORBIDDEN)),
    "an unknown token": (keystone_says(404, SECRET), REFUSED),
    "too much": (
        says(413, b"<html>"),
        error(413, "Request Entity Too Large", "Request is too large."),
    ),
    "an error": (keystone_says(500, SECRET), AWAY),
    "a conflict": (keystone_says(409, SECRET), AWAY),
    "a limit": (keystone_says(429, SECRET, Retry_After="7"), AWAY),
    "a login page": (says(401, b"<html>", Content_Type="text/html"), AWAY),
    "another server": (says(404, b"<html>", Content_Type="text/html"), AWAY),
    "a redirect": (says(302, b"", Location="http://127.0.0.1:1/"), AWAY),
    "success without a token": (says(201, token_body()), AWAY),
    "a token of two words": (says(201, token_body(), X_Subject_Token="a b"), AWAY),
    "another success": (says(200, token_body(), **ISSUED), AWAY),
    "no JSON": (says(201, b"{", **ISSUED), AWAY),
    "a list": (says(201, [], **ISSUED), AWAY),
    "an empty token": (says(201, {"token": {}}, **ISSUED), AWAY),
    "a token of v2.0": (says(201, {"access": {"token": {}}}, **ISSUED), AWAY),
    "a user that is text": (says(201, token_body(user="u"), **ISSUED), AWAY),
    "a user without a name": (says(201, token_body(user={"id": "u"}), **ISSUED), AWAY),
    "a time that is a number": (says(201, token_body(issued_at=1), **ISSUED), AWAY),
    "a catalog of numbers": (
        says(201, token_body(project={"id": "p", "name": "p"}, catalog=[1]), **ISSUED),
        AWAY,
    ),
    "endpoints without a region": (
        says(
            201,
            token_body(
                project={"id": "p", "name": "p"},
                catalog=[{"type": "x", "endpoints": [{"url": "x", "interface": "public"}]}],
            ),
            **ISSUED,
        ),
        AWAY,
    ),
}


@pytest.mark.parametrize(("keystones", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_each_answer_of_keystone_has_its_answer(
    front: Front,
    v3_keystone: EmbeddedKeystone,
    keystones: Any,
    expected: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    v3_keystone.answers.append(keystones)
    answer = login_v2(front(), SENT)
    assert (expected["error"]["code"], expected) == (answer.status_code, answer.json)
    retry = {"a limit": "7"}.get(next(k for k, v in ANSWERS.items() if v[0] is keystones), "1")
    assert (retry if expected is AWAY else None) == answer.headers.get("Retry-After")
    assert 1 == len(v3_keystone.seen)  # whatever it is, nothing is repeated
    assert SECRET not in caplog.text + answer.text
    assert not any("demo" == getattr(record, "password", "") for record in caplog.records)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2.0/tenants"), ("GET", "/v2.0/tokens/a"), ("DELETE", "/v2.0/tokens/a")],
)
@pytest.mark.parametrize(
    ("keystones", "expected"),
    [
        (keystone_says(401, SECRET), REFUSED),
        (keystone_says(403, SECRET), error(403, "Forbidden", FORBIDDEN)),
        (keystone_says(404, SECRET), NO_TOKEN),
        (keystone_says(502, SECRET), AWAY),
        (says(404, b""), AWAY),
        (says(200, {"projects": [1]}), AWAY),
        (says(200, {"projects": 1}), AWAY),
        (says(200, b"\xff"), AWAY),
    ],
)
def test_each_answer_to_the_other_calls_has_its_answer(
    front: Front,
    v3_keystone: EmbeddedKeystone,
    method: str,
    path: str,
    keystones: Any,
    expected: Any,
) -> None:
    v3_keystone.answers.append(keystones)
    answer: Any = front().open(path, method=method, headers={"X-Auth-Token": "demo"})
    assert (expected["error"]["code"], expected) == (answer.status_code, answer.json)


def test_a_keystone_that_refuses_connections_is_tried_once_a_second(front: Front) -> None:
    client = front(OS_AUTH_URL=f"http://127.0.0.1:{free_port()}/v3")
    answers = [login_v2(client, SENT) for _ in range(8)]
    assert [(503, AWAY, "1")] * 8 == [
        (answer.status_code, answer.json, answer.headers["Retry-After"]) for answer in answers
    ]


@pytest.mark.parametrize(
    "script", [[hears, waits()], [hears, sends(b"HTTP/1.1 201 "), waits()], [hears]]
)
def test_a_silent_keystone_is_given_up_in_time(front: Front, script: Any) -> None:
    with scripted(script) as server:
        client = front(OS_AUTH_URL=f"{server.url}/v3", SHIM_KEYSTONE_TIMEOUT="0.2")
        started = time.monotonic()
        answer = login_v2(client, SENT)
    assert (503, AWAY) == (answer.status_code, answer.json)
    assert time.monotonic() - started < 5
    assert 1 == server.connections


def test_logins_are_limited_and_leave_room_for_image_calls(front: Front) -> None:
    with scripted([hears, waits()]) as server:
        client = front(
            OS_AUTH_URL=f"{server.url}/v3",
            SHIM_THREADS="1",
            SHIM_QUEUE_SECONDS="0.05",
            SHIM_KEYSTONE_TIMEOUT="5",
        )
        waiting = Thread(target=login_v2, args=(client, SENT))
        waiting.start()
        while not server.heard:
            time.sleep(0.01)
        answer = login_v2(client, SENT)
        assert (503, AWAY, "1") == (
            answer.status_code,
            answer.json,
            answer.headers["Retry-After"],
        )
    waiting.join()
    assert 1 == server.connections


@pytest.mark.parametrize(
    ("remote", "sent", "trusted", "forwarded"),
    [
        ("192.0.2.7", {}, "0", ("192.0.2.7", "for=192.0.2.7")),
        ("2001:db8::7", {}, "0", ("2001:db8::7", 'for="[2001:db8::7]"')),
        (
            "192.0.2.7",
            {"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1"},
            "0",
            ("192.0.2.7", "for=192.0.2.7"),
        ),
        (
            "192.0.2.7",
            {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"},
            "1",
            ("198.51.100.1", "for=198.51.100.1"),
        ),
        ("", {}, "0", (None, None)),
        ("a socket", {}, "0", (None, None)),
    ],
)
def test_keystone_learns_the_clients_address(
    front: Front,
    v3_keystone: EmbeddedKeystone,
    remote: str,
    sent: dict[str, str],
    trusted: str,
    forwarded: Any,
) -> None:
    client = front(SHIM_TRUSTED_PROXIES=trusted)
    client.environ_base["REMOTE_ADDR"] = remote
    client.post("/v2.0/tokens", json={"auth": SENT}, headers=sent)
    client.get("/v2.0/tenants", headers=sent | {"X-Auth-Token": "demo"})
    for call in v3_keystone.seen:
        got = call.headers.get("x-forwarded-for"), call.headers.get("forwarded")
        assert forwarded == got
