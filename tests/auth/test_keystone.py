"""Who may ask, according to Keystone: over the fake one, in process and in the live service."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from flask import g, request_started
from support.fakes import FakeGlance, FakeKeystone, says, serve, token_of
from support.live import free_port, glance_environ
from support.peers import ScriptedServer, drips, hears, scripted, waits
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from werkzeug.test import TestResponse
    from werkzeug.wrappers import Request

UNAUTHORIZED = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}
UNAVAILABLE = {
    "serviceUnavailable": {
        "code": 503,
        "message": "The server is currently unavailable. Please try again at a later time.",
    }
}
NOT_FOUND = {"itemNotFound": {"code": 404, "message": "The resource could not be found."}}
BAD_METHOD = {
    "badMethod": {
        "code": 405,
        "message": "The server could not comply with the request since it is either malformed or "
        "otherwise incorrect.",
    }
}
ERRED = {
    "computeFault": {
        "code": 500,
        "message": "The server has either erred or is incapable of performing the requested "
        "operation.",
    }
}
IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b"


@dataclass
class MoodyKeystone(FakeKeystone):
    """A Keystone that can be out of order, takes its time, and counts what it does at once.

    Args:
        mood: what answers instead of Keystone, None for Keystone itself.
        asked: called with each token that is validated, before the answer.
        change: what changes a token's data.
        most: for each token the most validations that were under way at once.
    """

    mood: Callable[[Request], Response] | None = None
    asked: Callable[[str], None] = lambda _token: None
    change: Callable[[Any], None] = lambda _data: None
    most: Counter[str] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def usual(self, request: Request) -> Response:
        return self.mood(request) if self.mood else super().usual(request)

    def _validate(self, token: str) -> Response:
        with self.lock:
            self.busy[token] += 1
            self.most[token] = max(self.most[token], self.busy[token])
        self.asked(token)
        with self.lock:
            self.busy[token] -= 1
        return super()._validate(token)

    def _token(self, project: str) -> Any:
        token = super()._token(project)
        identity = token["token"]["catalog"][0]["endpoints"]
        identity += [
            {**one, "region": name, "region_id": name} for one in identity for name in "ST"
        ]
        if project != "service":
            self.change(token["token"])
        return token

    def calls(self) -> list[tuple[str, str]]:
        return [(seen.method, seen.path) for seen in self.seen]


VALIDATION = ("GET", "/v3/auth/tokens")


class Door:
    """One address for the Keystone of each test."""

    def __init__(self) -> None:
        self.keystone = MoodyKeystone()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.keystone(environ, start_response)


@pytest.fixture(scope="module")
def door() -> Iterator[tuple[str, Door]]:
    door = Door()
    with serve(door) as url:
        yield url, door


@pytest.fixture
def moody(door: tuple[str, Door], glance: FakeGlance) -> MoodyKeystone:
    """Return a Keystone of this test's own."""
    door[1].keystone = MoodyKeystone(url=door[0], glance_url=glance.url)
    return door[1].keystone


def over(keystone: FakeKeystone, **environ: str) -> Flask:
    """Return the application over a Keystone, as it is composed for a real cloud."""
    return create_glance_app(Settings.from_environ(glance_environ(keystone) | environ))


def ask(
    app: Flask, path: str = "/v2/demo/images", token: str | None = token_of("demo")
) -> TestResponse:
    headers = {} if token is None else {"X-Auth-Token": token}
    return app.test_client().get(path, headers=headers)


def raw(method: str, base: str, path: str, headers: dict[str, str]) -> requests.Response:
    """Send the path as it is; requests would make one slash of two."""
    request = requests.Request(method, base, headers=headers).prepare()
    request.url = f"{base}{path}"
    with requests.Session() as session:
        return session.send(request, timeout=10, allow_redirects=False)


# 401


@pytest.mark.parametrize(
    ("token", "asked"),
    [
        (None, 0),
        ("", 0),
        ("  \t ", 0),
        ("demo", 1),
        ("demo-token-0123456789abcdeg", 1),
        (f"{token_of('demo')},{token_of('demo')}", 1),
        ("x" * 10_000, 1),
        ("é" + token_of("demo"), 0),
        ("a b", 0),
    ],
    ids=["none", "empty", "blank", "unknown", "almost", "twice", "long", "no ASCII", "two words"],
)
def test_without_a_good_token_the_answer_is_the_middlewares_401(
    token: str | None, asked: int, moody: MoodyKeystone
) -> None:
    answer = ask(over(moody), token=token)
    assert (401, UNAUTHORIZED) == (answer.status_code, answer.json)
    assert "application/json" == answer.headers["Content-Type"]
    assert [f'Keystone uri="{moody.url}/v3"'] == answer.headers.getlist("WWW-Authenticate")
    assert asked == moody.validations()


def test_the_live_service_answers_the_same_401(keystone: FakeKeystone, glance_shim: str) -> None:
    for headers in ({}, {"X-Auth-Token": ""}, {"X-Auth-Token": "bad"}):
        answer = requests.get(f"{glance_shim}/v2/demo/images", headers=headers, timeout=10)
        assert (401, UNAUTHORIZED) == (answer.status_code, answer.json())
        wanted = {
            "Content-Type": "application/json",
            "WWW-Authenticate": f'Keystone uri="{keystone.url}/v3"',
            "Content-Length": str(len(answer.content)),
            "X-Compute-Request-Id": answer.headers["X-Openstack-Request-Id"],
        }
        assert wanted == {name: answer.headers[name] for name in wanted}


def test_a_401_names_the_public_keystone(moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_WWW_AUTHENTICATE_URI="https://keystone.example:5000/")
    for token in (None, "bad"):
        challenge = ask(app, token=token).headers["WWW-Authenticate"]
        assert 'Keystone uri="https://keystone.example:5000"' == challenge


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/v2/demo", 404, NOT_FOUND),
        ("GET", "/v2/demo/", 404, NOT_FOUND),
        ("GET", "/v2/demo/nothing", 404, NOT_FOUND),
        ("GET", "/v2/images/detail", 404, NOT_FOUND),
        ("GET", "/v2/demo/images/", 404, NOT_FOUND),
        ("DELETE", "/v2/demo/images/", 404, NOT_FOUND),
        ("GET", "/v2/demo/images/a%2Fb", 404, NOT_FOUND),
        ("GET", "/v2/demo/images/%ff", 404, NOT_FOUND),
        ("GET", "/v2//demo//nothing", 404, NOT_FOUND),
        ("GET", "//v1.1/demo/nothing", 404, NOT_FOUND),
        ("POST", "/v2/demo/images", 405, BAD_METHOD),
        ("PATCH", "/v2/demo/images/detail", 405, BAD_METHOD),
        ("OPTIONS", "/v2/demo/images", 405, BAD_METHOD),
        ("PUT", f"/v2/demo/images/{IMAGE_ID}", 405, BAD_METHOD),
        ("POST", f"/v1.1/demo//images/{IMAGE_ID}", 405, BAD_METHOD),
    ],
)
def test_below_a_mount_a_401_comes_before_any_other_answer(
    method: str, path: str, status: int, body: Any, glance_shim: str
) -> None:
    for token in ("", "bad"):
        refused = raw(method, glance_shim, path, {"X-Auth-Token": token})
        assert (401, UNAUTHORIZED) == (refused.status_code, refused.json())
    answer = raw(method, glance_shim, path, {"X-Auth-Token": token_of("demo")})
    assert (status, body) == (answer.status_code, answer.json())


@pytest.mark.parametrize("path", ["/nothing", "/v3/demo/images", "/V2/demo/x", "/v2x/demo"])
def test_outside_the_mounts_there_is_nothing_to_be_authorized_for(
    path: str, moody: MoodyKeystone
) -> None:
    answer = ask(over(moody), path, token=None)
    assert (404, NOT_FOUND, []) == (answer.status_code, answer.json, moody.seen)


# Whose project


def malformed(path: str, own: str) -> dict[str, Any]:
    message = (
        f"Malformed request URL: URL's project_id '{path}' "
        f"doesn't match Context's project_id '{own}'"
    )
    return {"badRequest": {"code": 400, "message": message}}


@pytest.mark.parametrize(
    ("path", "tenant", "own"),
    [
        ("/v2/alt/images", "alt", "demo"),
        ("/v2/alt/images/detail?limit=abc&changes-since=x", "alt", "demo"),
        ("/v2/alt/images/nothing", "alt", "demo"),
        ("/v2/alt/images/nothing/metadata", "alt", "demo"),
        ("/v2/alt/images/nothing/metadata/key", "alt", "demo"),
        ("/v1.1//alt/images.json", "alt", "demo"),
        ("/v2/DEMO/images", "DEMO", "demo"),
        ("/v2/demo%20/images", "demo ", "demo"),
        ("/v2/dem/images", "dem", "demo"),
        ("/v2/caf%C3%A9's%22/images", "café's\"", "demo"),
        ("/v2/None/images", "None", "unscoped"),
        ("/v2/unscoped/images", "unscoped", "unscoped"),
    ],
)
def test_a_path_of_another_project_is_malformed(
    path: str, tenant: str, own: str, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    answer = ask(over(moody), path, token_of(own))
    expected = malformed(tenant, "None" if own == "unscoped" else own)
    assert (400, expected, []) == (answer.status_code, answer.json, glance.seen)
    assert "application/json; charset=UTF-8" == answer.headers["Content-Type"]


def test_an_admin_is_no_exception(moody: MoodyKeystone) -> None:
    moody.change = lambda data: data["roles"].append({"id": "1", "name": "admin"})
    answer = ask(over(moody), "/v2/alt/images")
    assert (400, malformed("alt", "demo")) == (answer.status_code, answer.json)


@pytest.mark.parametrize("more", [[], ["admin", "reader"]])
def test_a_caller_has_the_roles_of_its_token(moody: MoodyKeystone, more: list[str]) -> None:
    moody.change = lambda data: data["roles"].extend({"id": name, "name": name} for name in more)
    with over(moody).test_client() as client:
        client.get("/v2/demo/images", headers={"X-Auth-Token": token_of("demo")})
        assert frozenset({"member", *more}) == g.caller.roles


# Identity headers

FORGED = {
    "X-Identity-Status": "Confirmed",
    "X-Service-Identity-Status": "Confirmed",
    "X-Project-Id": "alt",
    "X-Project-Name": "alt",
    "X-Tenant-Id": "alt",
    "X-Tenant-Name": "alt",
    "X-Tenant": "alt",
    "X-Auth-Project-Id": "alt",
    "X-Domain-Id": "alt",
    "X-Domain-Name": "alt",
    "X-Project-Domain-Id": "alt",
    "X-User-Id": "root",
    "X-User-Name": "root",
    "X-User": "root",
    "X-User-Domain-Id": "default",
    "X-Role": "admin",
    "X-Roles": "admin,service",
    "X-Is-Admin-Project": "True",
    "OpenStack-System-Scope": "all",
    "X-Service-Project-Id": "service",
    "X-Service-User-Id": "root",
    "X-Service-Roles": "service",
    "X-Storage-Token": token_of("alt"),
    "X-Subject-Token": token_of("alt"),
    "X-Remote-User": "root",
    "X_Project_Id": "alt",
    "X_Identity_Status": "Confirmed",
    "Authorization": "Basic cm9vdDpyb290",
}
DENIED = FORGED | {"X-Identity-Status": "Invalid", "X-Service-Identity-Status": "Invalid"}

PATHS = [
    "/",
    "/v2",
    "/v1.1/",
    "/healthcheck",
    "/nothing",
    "/v2/identified/images",
    "/v2/identified/images/detail?limit=1",
    "/v2/identified/images/nothing",
    "/v2/identified/images/nothing/metadata",
    "/v2/identified/images/nothing/metadata/key",
    "/v2/identified/nothing",
    "/v2//identified//images",
    "//v2/identified/images/detail",
    "/v1.1/identified/images/detail",
    "/v1.1//identified/images//nothing",
    "/v2/alt/images",
    "/v2/alt/images/detail",
    "/v1.1//alt/images/nothing",
]


@pytest.mark.parametrize("forged", [FORGED, DENIED], ids=["confirmed", "denied"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [None, "bad", token_of("identified")], ids=["no", "bad", "good"])
def test_identity_headers_change_nothing(
    token: str | None, path: str, forged: dict[str, str], glance: FakeGlance, glance_shim: str
) -> None:
    headers = {} if token is None else {"X-Auth-Token": token}

    def answered(more: dict[str, str]) -> tuple[Any, ...]:
        glance.reset()
        answer = raw("GET", glance_shim, path, headers | more)
        own = {"Date", "X-Compute-Request-Id", "X-Openstack-Request-Id"}
        kept = {name: value for name, value in answer.headers.items() if name not in own}
        seen = [
            (seen.path, seen.query, seen.headers["x-auth-token"], len(seen.headers))
            for seen in glance.seen
        ]
        return answer.status_code, answer.content, kept, seen

    evil = {"X-Service-Catalog": json.dumps([{"type": "image", "endpoints": []}])}
    assert answered({}) == answered(forged | evil)


# What asks Keystone, and how often


@pytest.mark.parametrize("path", ["/", "/v2", "/v2/", "/v1.1", "/v1.1/", "//v2//", "/healthcheck"])
@pytest.mark.parametrize("token", [None, "bad", token_of("demo")])
def test_what_needs_no_token_asks_no_keystone(
    path: str, token: str | None, keystone: FakeKeystone, glance_shim: str
) -> None:
    headers = {} if token is None else {"X-Auth-Token": token}
    answer = raw("GET", glance_shim, path, headers)
    assert (200, []) == (answer.status_code, keystone.seen)


def test_the_live_service_asks_keystone_for_a_token_once(
    keystone: FakeKeystone, glance_shim: str
) -> None:
    headers = {"X-Auth-Token": token_of("five-times")}
    url = f"{glance_shim}/v2/five-times/images"
    statuses = [requests.get(url, headers=headers, timeout=10).status_code for _ in range(5)]
    assert ([200] * 5, 1) == (statuses, keystone.validations())


def test_with_blanks_around_it_a_token_is_the_same(moody: MoodyKeystone) -> None:
    app = over(moody)
    tokens = [token_of("demo"), f"  {token_of('demo')}", f"{token_of('demo')} \t"]
    statuses = [ask(app, token=token).status_code for token in tokens]
    assert ([200] * 3, 1) == (statuses, moody.validations())


def test_a_token_is_believed_for_as_long_as_set(moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_TOKEN_CACHE_SECONDS="1")
    assert [200, 200, 200] == [ask(app).status_code for _ in range(3)]
    assert 1 == moody.validations()
    moody.mood = says(404, {"error": {"code": 404, "message": "revoked"}})
    assert 200 == ask(app).status_code
    time.sleep(1.05)
    assert 401 == ask(app).status_code
    moody.mood = None
    assert 200 == ask(app).status_code
    assert 3 == moody.validations()


def test_no_token_is_believed_for_no_time(moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_TOKEN_CACHE_SECONDS="0")
    assert [200, 200, 200] == [ask(app).status_code for _ in range(3)]
    assert 3 == moody.validations()


def test_a_token_is_not_believed_beyond_its_own_end(moody: MoodyKeystone) -> None:
    end = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat().replace("+00:00", "Z")
    moody.change = lambda data: data.update(expires_at=end)
    app = over(moody)
    assert 200 == ask(app).status_code
    time.sleep(1.6)
    assert 401 == ask(app).status_code


def test_a_bad_token_may_become_good(moody: MoodyKeystone) -> None:
    app = over(moody)
    moody.mood = says(404, {"error": {"code": 404, "message": "not yet"}})
    ask(app, token=token_of("warm"))  # the service user's own login
    moody.mood = None
    ask(app, token=token_of("warm"))
    moody.mood = says(404, {"error": {"code": 404, "message": "not yet"}})
    assert 401 == ask(app).status_code
    moody.mood = None
    assert 200 == ask(app).status_code


def at_once(app: Flask, *tokens: str) -> list[tuple[int, Any]]:
    """Send a request with each token, all at the same time."""

    def one(token: str) -> tuple[int, Any]:
        answer = ask(app, f"/v2/{token.partition('-token-')[0]}/images", token)
        return answer.status_code, answer.json

    with ThreadPoolExecutor(len(tokens)) as executor:
        return list(executor.map(one, tokens))


class Crowd:
    """Counts the requests that an application has begun to serve."""

    def __init__(self, app: Flask, size: int) -> None:
        self._size = size
        self._begun = 0
        request_started.connect(self._count, app)

    def _count(self, _app: Flask, **_kwargs: object) -> None:
        self._begun += 1

    def wait(self) -> None:
        """Wait until all have begun and most likely wait for Keystone."""
        deadline = time.monotonic() + 10
        while self._begun < self._size:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.05)


def test_a_burst_of_one_new_token_asks_keystone_once(moody: MoodyKeystone) -> None:
    app = over(moody)
    crowd = Crowd(app, 20)
    moody.asked = lambda _token: crowd.wait()
    answers = at_once(app, *[token_of("demo")] * 20)
    assert [(200, {"images": []})] * 20 == answers
    assert 1 == moody.validations()


def test_a_burst_asks_keystone_one_after_another_where_nothing_is_kept(
    moody: MoodyKeystone,
) -> None:
    app = over(moody, SHIM_TOKEN_CACHE_SECONDS="0")
    crowd = Crowd(app, 20)
    moody.asked = lambda _token: crowd.wait()
    answers = at_once(app, *[token_of("demo")] * 20)
    assert [(200, {"images": []})] * 20 == answers
    assert 1 == moody.most[token_of("demo")]


@pytest.mark.parametrize(
    ("mood", "answer"),
    [
        (says(404, {"error": {"code": 404, "message": "unknown"}}), (401, UNAUTHORIZED)),
        (says(500, {}), (503, UNAVAILABLE)),
    ],
)
def test_a_burst_is_refused_as_one(
    mood: Callable[[Request], Response], answer: tuple[int, Any], moody: MoodyKeystone
) -> None:
    app = over(moody)
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code

    crowd = Crowd(app, 20)

    def slowly(request: Request) -> Response:
        crowd.wait()
        return mood(request)

    moody.seen.clear()
    moody.mood = slowly
    assert [answer] * 20 == at_once(app, *[token_of("demo")] * 20)
    assert 1 == moody.validations()
    moody.mood = None
    assert 200 == ask(app).status_code


def test_two_tokens_are_validated_at_the_same_time(moody: MoodyKeystone) -> None:
    app = over(moody)
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code
    both = threading.Barrier(2)  # breaks unless both validations are under way at once

    def meet(_token: str) -> None:
        both.wait(5)

    moody.asked = meet
    answers = at_once(app, token_of("one"), token_of("two"))
    assert [(200, {"images": []})] * 2 == answers


# Keystone out of order


def good_token_without(*names: str) -> dict[str, Any]:
    token = json.loads(json.dumps(FakeKeystone()._token("demo")))
    for name in names:
        del token["token"][name]
    return {"token": token["token"]}


def elsewhere(request: Request) -> Response:
    return Response(status=302, headers={"Location": f"http://127.0.0.1:9{request.path}"})


FAILURES: dict[str, Callable[[Request], Response]] = {
    "500": says(500, {"error": {"code": 500, "message": "oh"}}),
    "502 page": says(502, b"<html><h1>502 Bad Gateway</h1></html>", Content_Type="text/html"),
    "503": says(503, {"error": {"code": 503, "message": "later"}}, Retry_After="1"),
    "400": says(400, {"error": {"code": 400, "message": "what"}}),
    "403": says(403, {"error": {"code": 403, "message": "not you"}}),
    "429": says(429, {"error": {"code": 429, "message": "slowly"}}),
    "a redirect": elsewhere,
    "an empty answer": says(200, b""),
    "a 204": says(204, b""),
    "a page": says(200, b"<html>Welcome</html>", Content_Type="text/html"),
    "half JSON": says(200, b'{"token": {"user"'),
    "a list": says(200, []),
    "a number": says(200, 5),
    "null": says(200, None),
    "an empty object": says(200, {}),
    "an empty token": says(200, {"token": {}}),
    "a token that is a number": says(200, {"token": 5}),
    "a token of nobody": says(200, good_token_without("user")),
    "a token without end": says(200, good_token_without("expires_at")),
    "a token with odd roles": says(
        200, {"token": good_token_without("roles")["token"] | {"roles": "admin"}}
    ),
}


@pytest.mark.parametrize("mood", FAILURES.values(), ids=FAILURES)
def test_a_validation_that_says_nothing_is_a_503_and_is_not_repeated(
    mood: Callable[[Request], Response], moody: MoodyKeystone, glance: FakeGlance
) -> None:
    app = over(moody)
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code
    moody.seen.clear()
    glance.seen.clear()
    moody.mood = mood
    answer = ask(app)
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert "application/json; charset=UTF-8" == answer.headers["Content-Type"]
    assert ([VALIDATION], []) == (moody.calls(), glance.seen)
    moody.mood = None
    assert 200 == ask(app).status_code


@pytest.mark.parametrize("mood", FAILURES.values(), ids=FAILURES)
def test_a_keystone_out_of_order_from_the_start_is_a_503_until_it_is_back(
    mood: Callable[[Request], Response], moody: MoodyKeystone
) -> None:
    app = over(moody)
    moody.mood = mood
    answer = ask(app)
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert [("POST", "/v3/auth/tokens")] == moody.calls()
    moody.mood = None
    assert 200 == ask(app).status_code


def test_a_redirect_of_keystone_is_not_followed(moody: MoodyKeystone) -> None:
    app = over(moody)
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code
    stranger = FakeKeystone()
    with serve(stranger) as stranger.url:
        moody.mood = lambda request: Response(
            status=302, headers={"Location": f"{stranger.url}{request.path}"}
        )
        assert (503, UNAVAILABLE) == ((answer := ask(app)).status_code, answer.json)
    assert [] == stranger.seen


def test_a_wrong_password_of_the_service_user_is_no_clients_fault(moody: MoodyKeystone) -> None:
    app = over(moody, OS_PASSWORD="wrong")
    for token in (token_of("demo"), "bad"):
        answer = ask(app, token=token)
        assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert ("GET", "/v3/auth/tokens") not in moody.calls()


def test_a_login_at_a_wrong_address_is_no_clients_fault(moody: MoodyKeystone) -> None:
    moody.answers[:] = [says(404, b"404 page not found", Content_Type="text/plain")]
    answer = ask(over(moody))
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)


def test_a_token_of_the_service_user_that_keystone_no_longer_takes_is_renewed(
    moody: MoodyKeystone,
) -> None:
    app = over(moody)
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code
    moody.seen.clear()
    moody.answers.append(says(401, {"error": {"code": 401, "message": "expired"}}))
    assert 200 == ask(app).status_code
    assert [VALIDATION, ("POST", "/v3/auth/tokens"), VALIDATION] == moody.calls()


def test_a_keystone_that_refuses_connections_is_a_503_until_it_is_back(
    glance: FakeGlance,
) -> None:
    port = free_port()
    fake = MoodyKeystone(url=f"http://127.0.0.1:{port}", glance_url=glance.url)
    app = over(fake)
    started = time.monotonic()
    answer = ask(app)
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert time.monotonic() - started < 1
    with serving_at(port, fake):
        assert 200 == ask(app).status_code
    answer = ask(app, "/v2/other/images", token_of("other"))
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert 200 == ask(app).status_code  # its token is still believed
    with serving_at(port, fake):
        assert 200 == ask(app, "/v2/other/images", token_of("other")).status_code


@contextlib.contextmanager
def serving_at(port: int, fake: FakeKeystone) -> Iterator[None]:
    server = make_server("127.0.0.1", port, fake, threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("seconds", ["0.5", "1.5"])
def test_a_keystone_timeout_may_have_a_fraction(seconds: str, moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_KEYSTONE_TIMEOUT=seconds)
    moody.asked = lambda _token: time.sleep(float(seconds) - 0.3)
    assert 200 == ask(app).status_code


def silent() -> contextlib.AbstractContextManager[ScriptedServer]:
    return scripted(*[[hears, waits()]] * 5)


def in_drops() -> contextlib.AbstractContextManager[ScriptedServer]:
    return scripted(*[[hears, drips(b"HTTP/1.1 200 OK\r\nX-More: " + b"m" * 600)]] * 5)


@pytest.mark.parametrize("broken", [silent, in_drops])
def test_a_keystone_that_does_not_answer_is_waited_for_no_longer_than_set(
    broken: Callable[[], contextlib.AbstractContextManager[ScriptedServer]],
) -> None:
    with broken() as server:
        app = over(FakeKeystone(url=server.url), SHIM_KEYSTONE_TIMEOUT="0.4")
        started = time.monotonic()
        answer = ask(app)
        seconds = time.monotonic() - started
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert 0.3 < seconds < 1.4
    assert 1 == server.connections


@pytest.mark.parametrize("token", [token_of("demo"), "bad"])
def test_a_validation_is_waited_for_no_longer_than_set(token: str, moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_KEYSTONE_TIMEOUT="0.4")
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code
    moody.seen.clear()
    moody.asked = lambda _token: time.sleep(1.5)
    started = time.monotonic()
    answer = ask(app, token=token)
    seconds = time.monotonic() - started
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json)
    assert 0.3 < seconds < 1.2
    assert [VALIDATION] == moody.calls()


# The service user

PASSWORD = "service-user-password"
CLEAR = {
    "OS_USERNAME": "",
    "OS_PASSWORD": "",
    "OS_PROJECT_NAME": "",
    "OS_USER_DOMAIN_NAME": "",
    "OS_PROJECT_DOMAIN_NAME": "",
}
DEFAULT = {"name": "Default"}


def by_password(user: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
    password = {"user": {**user, "password": PASSWORD}}
    identity = {"methods": ["password"], "password": password}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


CREDENTIAL = {
    "auth": {
        "identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": "credential-id", "secret": PASSWORD},
        }
    }
}
CREDENTIAL_ENVIRON = {
    "OS_APPLICATION_CREDENTIAL_ID": "credential-id",
    "OS_APPLICATION_CREDENTIAL_SECRET": PASSWORD,
}
SERVICE = {"name": "nova-image-shim", "domain": DEFAULT}
PROJECT = {"name": "service", "domain": DEFAULT}


@pytest.mark.parametrize(
    ("environ", "login"),
    [
        ({}, by_password(SERVICE, PROJECT)),
        ({"OS_AUTH_TYPE": "v3password"}, by_password(SERVICE, PROJECT)),
        (
            {"OS_PROJECT_NAME": "", "OS_PROJECT_DOMAIN_NAME": "", "OS_PROJECT_ID": "p-id"},
            by_password(SERVICE, {"id": "p-id"}),
        ),
        (
            {"OS_USERNAME": "", "OS_USER_DOMAIN_NAME": "", "OS_USER_ID": "u-id"},
            by_password({"id": "u-id"}, PROJECT),
        ),
        (
            {
                "OS_USER_DOMAIN_NAME": "",
                "OS_PROJECT_DOMAIN_NAME": "",
                "OS_USER_DOMAIN_ID": "default",
                "OS_PROJECT_DOMAIN_ID": "other",
            },
            by_password(
                {"name": "nova-image-shim", "domain": {"id": "default"}},
                {"name": "service", "domain": {"id": "other"}},
            ),
        ),
        (CLEAR | CREDENTIAL_ENVIRON, CREDENTIAL),
        (CREDENTIAL_ENVIRON, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_USERNAME": "admin", "OS_PASSWORD": "stray"}, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_USER_ID": "stray", "OS_PROJECT_ID": "stray"}, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_AUTH_TYPE": "v3applicationcredential"}, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_AUTH_TYPE": "password"}, by_password(SERVICE, PROJECT)),
        ({"OS_APPLICATION_CREDENTIAL_ID": "alone"}, by_password(SERVICE, PROJECT)),
        ({"OS_APPLICATION_CREDENTIAL_SECRET": "alone"}, by_password(SERVICE, PROJECT)),
    ],
)
def test_the_service_user_logs_in_as_the_environment_says(
    environ: dict[str, str], login: dict[str, Any], moody: MoodyKeystone
) -> None:
    assert 200 == ask(over(moody, **environ)).status_code
    logins = [json.loads(seen.body) for seen in moody.seen if seen.method == "POST"]
    assert [login] == logins


def test_the_service_user_logs_in_once(moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_TOKEN_CACHE_SECONDS="0")
    for project in ("one", "two", "one"):
        assert 200 == ask(app, f"/v2/{project}/images", token_of(project)).status_code
    assert {
        ("POST", "/v3/auth/tokens"): 1,
        VALIDATION: 3,
    } == Counter(moody.calls())


@pytest.mark.parametrize("path", ["", "/detail", f"/{IMAGE_ID}", f"/{IMAGE_ID}/metadata"])
def test_glance_gets_the_callers_token_and_no_other(
    path: str, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    headers = {"X-Auth-Token": token_of("demo"), **FORGED}
    over(moody).test_client().get(f"/v2/demo/images{path}", headers=headers)
    (seen,) = glance.seen
    assert {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
        "x-auth-token",
        "x-openstack-request-id",
    } == seen.headers.keys() - {"content-type"}
    assert token_of("demo") == seen.headers["x-auth-token"]
    assert token_of("service") not in str(seen)


def test_keystone_is_asked_about_the_callers_token_with_the_service_users(
    moody: MoodyKeystone,
) -> None:
    ask(over(moody))
    (seen,) = [seen for seen in moody.seen if (seen.method, seen.path) == VALIDATION]
    tokens = [seen.headers[name] for name in ("x-auth-token", "x-subject-token")]
    assert [token_of("service"), token_of("demo")] == tokens


# Access rules of an application credential


@pytest.mark.parametrize(
    ("rule", "path", "status"),
    [
        ("/v2/*/images", "/v2/demo/images", 200),
        ("/v2/*/images", "/v2//demo/images.json", 200),
        ("/v2/*/images", "/v2/demo/images/detail", 401),
        ("/v2/{project}/images/**", "/v2/demo/images/detail", 200),
        ("/v2/*/servers", "/v2/demo/images", 401),
    ],
)
def test_access_rules_of_a_credential_hold(
    rule: str, path: str, status: int, moody: MoodyKeystone
) -> None:
    def restrict(data: Any) -> None:
        rules = [{"service": "compute", "method": "GET", "path": rule}]
        data["application_credential"] = {"id": "c", "restricted": True, "access_rules": rules}
        data["catalog"].append({"type": "compute", "name": "nova", "endpoints": []})

    moody.change = restrict
    assert status == ask(over(moody), path).status_code


# Where Glance is


def image_endpoints(**urls: str) -> Callable[[Any], None]:
    """Return what puts image endpoints into a catalog, by `REGION_INTERFACE`."""

    def change(data: Any) -> None:
        endpoints = [
            {"id": name, "region": region, "region_id": region, "interface": interface, "url": url}
            for name, url in urls.items()
            for region, interface in [name.split("_")]
        ]
        kept = [service for service in data["catalog"] if service["type"] != "image"]
        data["catalog"] = [*kept, {"type": "image", "name": "glance", "endpoints": endpoints}]

    return change


@pytest.fixture(scope="module")
def all_glances() -> Iterator[dict[str, FakeGlance]]:
    with contextlib.ExitStack() as stack:
        fakes = {}
        for name in ("R_public", "R_internal", "R_admin", "S_public", "own"):
            fake = fakes[name] = FakeGlance()
            fake.url = stack.enter_context(serve(fake))
        yield fakes


@pytest.fixture
def glances(all_glances: dict[str, FakeGlance]) -> dict[str, FakeGlance]:
    """Return a Glance for each of some regions and interfaces, and one that is in no catalog."""
    for fake in all_glances.values():
        fake.reset()
    return all_glances


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, "R_public"),
        ({"OS_REGION_NAME": "R"}, "R_public"),
        ({"OS_REGION_NAME": "R", "OS_INTERFACE": "internal"}, "R_internal"),
        ({"OS_REGION_NAME": "R", "OS_INTERFACE": "internalURL"}, "R_internal"),
        ({"OS_REGION_NAME": "R", "OS_INTERFACE": "admin"}, "R_admin"),
        ({"OS_REGION_NAME": "S"}, "S_public"),
        ({"SHIM_GLANCE_ENDPOINT": "own"}, "own"),
        ({"SHIM_GLANCE_ENDPOINT": "own", "OS_REGION_NAME": "R"}, "own"),
        ({"OS_REGION_NAME": "S", "OS_INTERFACE": "internal"}, None),
        ({"OS_REGION_NAME": "T"}, None),
    ],
)
def test_glance_is_where_the_settings_or_the_callers_catalog_say(
    environ: dict[str, str],
    found: str | None,
    glances: dict[str, FakeGlance],
    moody: MoodyKeystone,
) -> None:
    moody.change = image_endpoints(
        **{name: fake.url for name, fake in glances.items() if name != "own"}
    )
    own = {"SHIM_GLANCE_ENDPOINT": glances["own"].url} if "SHIM_GLANCE_ENDPOINT" in environ else {}
    answer = ask(over(moody, **environ | own))
    assert {found} - {None} == {name for name, fake in glances.items() if fake.seen}
    if found is None:
        assert (500, ERRED) == (answer.status_code, answer.json)
    else:
        assert (200, {"images": []}) == (answer.status_code, answer.json)


@pytest.mark.parametrize("end", ["", "/", "/v2", "/v2/"])
@pytest.mark.parametrize("configured", [False, True])
def test_glances_address_may_end_in_its_version(
    end: str, configured: bool, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    moody.change = image_endpoints(
        R_public="http://127.0.0.1:9" if configured else glance.url + end
    )
    own = {"SHIM_GLANCE_ENDPOINT": glance.url + end} if configured else {}
    glance.answers.append(says(200, {"images": [{"id": "an-id"}]}))
    answer = ask(over(moody, **own))
    assert ["/v2/images"] == [seen.path for seen in glance.seen]
    assert answer.json
    alternate = answer.json["images"][0]["links"][2]["href"]
    assert f"{glance.url}/demo/images/an-id" == alternate


@pytest.mark.parametrize("catalog", [[], None])
@pytest.mark.parametrize("path", ["", "/detail", "/an-id", "/an-id/metadata"])
def test_a_token_without_a_catalog_leads_to_no_glance(
    catalog: list[Any] | None, path: str, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    def change(data: Any) -> None:
        data.pop("catalog")
        if catalog is not None:
            data["catalog"] = catalog

    moody.change = change
    answer = ask(over(moody), f"/v2/demo/images{path}")
    assert (500, ERRED, []) == (answer.status_code, answer.json, glance.seen)
