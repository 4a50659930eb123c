"""Who may ask, according to Keystone: over the fake one, in process and in the live service."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from adapters.timing import Clock
from flask import Flask, g
from support.fakes import FakeGlance, FakeKeystone, project_of, says, serve, token_of
from support.live import free_port
from support.peers import Step, drips, hears, scripted, waits
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from auth.over_keystone import (
    AWAY,
    BAD_METHOD,
    EMPTY,
    FORGED,
    IMAGE_ID,
    LOGIN,
    NOT_FOUND,
    REFUSED,
    VALIDATION,
    Mood,
    MoodyKeystone,
    ask,
    fault,
    over,
    settings_of,
    told,
    warm,
)
from nova_image_shim import create_app
from nova_image_shim.adapters.keystone.token_validator import TokenValidator
from nova_image_shim.adapters.limits.limiter import Limiter, Waiting
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.adapters.stores.process import ProcessStore
from nova_image_shim.auth.keystone import KeystoneAuthenticate, open_keystone
from nova_image_shim.observability.logs import RequestFormatter
from nova_image_shim.observability.trace import ACCESS_LOGGER


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
@pytest.mark.parametrize("public", [None, "https://keystone.example:5000"])
def test_without_a_good_token_the_answer_is_the_middlewares_401(
    token: str | None, asked: int, public: str | None, moody: MoodyKeystone
) -> None:
    environ = {"SHIM_WWW_AUTHENTICATE_URI": f"{public}/"} if public else {}
    answer = ask(over(moody, **environ), token=token)
    assert (REFUSED, asked) == (told(answer), moody.validations())
    assert "application/json" == answer.headers["Content-Type"]
    challenge = f'Keystone uri="{public or moody.url + "/v3"}"'
    assert [challenge] == answer.headers.getlist("WWW-Authenticate")


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (EMPTY, "GET /v2/demo/images"),
        (
            (404, NOT_FOUND),
            "GET /v2/demo, GET /v2/demo/, GET /v2/demo/nothing, GET /v2/images/detail, "
            "GET /v2/demo/images/, DELETE /v2/demo/images/, GET /v2/demo/images/a%2Fb, "
            "GET /v2/demo/images/%ff, GET /v2//demo//nothing, GET //v1.1/demo/nothing",
        ),
        (
            (405, BAD_METHOD),
            "POST /v2/demo/images, PATCH /v2/demo/images/detail, "
            f"PUT /v2/demo/images/{IMAGE_ID}, POST /v1.1/demo//images/{IMAGE_ID}",
        ),
    ],
)
def test_below_a_mount_a_401_comes_before_any_other_answer(
    answer: tuple[int, Any], calls: str, keystone: FakeKeystone, glance_shim: str
) -> None:
    for method, path in map(str.split, calls.split(", ")):
        for headers in ({}, {"X-Auth-Token": ""}, {"X-Auth-Token": "bad"}):
            refused = raw(method, glance_shim, path, headers)
            assert REFUSED == (refused.status_code, refused.json())
            wanted = {
                "Content-Type": "application/json",
                "WWW-Authenticate": f'Keystone uri="{keystone.url}/v3"',
                "Cache-Control": "private, no-store",
                "Vary": "X-Auth-Token, Accept-Encoding",
                "Content-Length": str(len(refused.content)),
                "X-Compute-Request-Id": refused.headers["X-Openstack-Request-Id"],
            }
            assert wanted == {name: refused.headers[name] for name in wanted}
        found = raw(method, glance_shim, path, {"X-Auth-Token": token_of("demo")})
        assert answer == (found.status_code, found.json()), path


@pytest.mark.parametrize("path", ["/nothing", "/v3/demo/images", "/V2/demo/x", "/v2x/demo"])
def test_outside_the_mounts_there_is_nothing_to_be_authorized_for(
    path: str, moody: MoodyKeystone
) -> None:
    answer = ask(over(moody), path, token=None)
    assert ((404, NOT_FOUND), []) == (told(answer), moody.seen)


# Whose project


def malformed(path: str, own: str) -> dict[str, Any]:
    url = f"Malformed request URL: URL's project_id '{path}'"
    return fault("badRequest", 400, f"{url} doesn't match Context's project_id '{own}'")


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
    moody.change = lambda data: data["roles"].append({"id": "1", "name": "admin"})  # even so
    answer = ask(over(moody), path, token_of(own))
    expected = malformed(tenant, "None" if own == "unscoped" else own)
    assert (400, expected, []) == (answer.status_code, answer.json, glance.seen)
    assert "application/json; charset=UTF-8" == answer.headers["Content-Type"]


@pytest.mark.parametrize("more", [[], ["admin", "reader"]])
def test_a_caller_has_the_roles_of_its_token(moody: MoodyKeystone, more: list[str]) -> None:
    moody.change = lambda data: data["roles"].extend({"id": name, "name": name} for name in more)
    with over(moody).test_client() as client:
        client.get("/v2/demo/images", headers={"X-Auth-Token": token_of("demo")})
        assert frozenset({"member", *more}) == g.caller.roles


@pytest.mark.parametrize("path", ["", "/detail", "/an-id", "/an-id/metadata"])
def test_an_unscoped_token_is_refused_where_the_path_has_no_project(
    path: str, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    answer = ask(over(moody), f"/v2.1/images{path}", token_of("unscoped"))
    expected = fault("forbidden", 403, "The token is not scoped to a project.")
    assert (403, expected, []) == (answer.status_code, answer.json, glance.seen)


@pytest.mark.parametrize("scope", ["domain", "system"])
def test_a_token_of_a_domain_or_the_system_is_for_glance_to_judge(
    scope: str, moody: MoodyKeystone
) -> None:
    moody.change = lambda data: data.update({scope: {"id": "default", "all": True}})
    assert EMPTY == told(ask(over(moody), "/v2.1/images", token_of("unscoped")))


ROLES: list[tuple[Any, tuple[int, Any]]] = [
    ([], EMPTY),
    (None, AWAY),
    ([{"id": "1", "name": None}, {"id": "2", "name": "member"}], EMPTY),
    ([{"id": "1"}], AWAY),
    ([None], AWAY),
    ([{"id": "1", "name": 5}], AWAY),
    ([{"id": "1", "name": ["member"]}], AWAY),
    ([{"id": "1", "name": {}}], AWAY),
    ("member", AWAY),
    (5, AWAY),
]


@pytest.mark.parametrize(("roles", "expected"), ROLES)
@pytest.mark.parametrize("seconds", ["0", "60"])
def test_odd_roles_are_ignored_or_refused(
    seconds: str, roles: Any, expected: tuple[int, Any], moody: MoodyKeystone
) -> None:
    moody.change = lambda data: data.update(roles=roles)
    assert expected == told(ask(over(moody, SHIM_CACHE_SECONDS=seconds)))


@pytest.mark.parametrize("name", ["user", "project"])
@pytest.mark.parametrize("value", [None, "x", 5, {}, {"id": 5}, {"id": ["x"]}, {"id": {}}])
@pytest.mark.parametrize("path", ["/v2/demo/images", "/v2.1/images"])
def test_an_odd_user_or_project_is_no_error_of_ours(
    path: str, value: Any, name: str, moody: MoodyKeystone
) -> None:
    moody.change = lambda data: data.update({name: value})
    status, _ = told(ask(over(moody, SHIM_CACHE_SECONDS="60"), path))
    assert status in {400, 401, 403, 503}


# Identity headers

DENIED = FORGED | {"X-Identity-Status": "Invalid", "X-Service-Identity-Status": "Invalid"}

PATHS = """
/ /v2 /v1.1/ /healthcheck /nothing
/v2/identified/images /v2/identified/images/detail?limit=1 /v2/identified/images/nothing
/v2/identified/images/nothing/metadata /v2/identified/images/nothing/metadata/key
/v2/identified/nothing /v2//identified//images //v2/identified/images/detail
/v1.1/identified/images/detail /v1.1//identified/images//nothing
/v2/alt/images /v2/alt/images/detail /v1.1//alt/images/nothing
""".split()


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


@pytest.mark.parametrize(("seconds", "asked"), [("0", 3), ("60", 1)])
def test_a_token_is_cached_and_the_same_with_blanks_around_it(
    seconds: str, asked: int, moody: MoodyKeystone
) -> None:
    app = over(moody, SHIM_TOKEN_CACHE_SECONDS=seconds)
    tokens = [token_of("demo"), f"  {token_of('demo')}", f"{token_of('demo')} \t"]
    assert [200] * 3 == [ask(app, token=token).status_code for token in tokens]
    assert asked == moody.validations()


class WatchedWaiting(Waiting):
    """Tells when a request waits for the answer to another."""

    def __init__(self) -> None:
        super().__init__(MANY)
        self.joined = threading.Semaphore(0)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with super().__call__():
            self.joined.release()
            yield


class Watched(Limiter):
    """A limiter that tells when a request waits."""

    def __init__(self) -> None:
        self._watched = WatchedWaiting()
        super().__init__("Keystone", slots=MANY, seconds=10, waiting=self._watched)

    def wait_for(self, others: int) -> None:
        for _ in range(others):
            assert self._watched.joined.acquire(timeout=10)


MANY = 20


def watched(
    keystone: FakeKeystone,
    limiter: Limiter,
    clock: Callable[[], float] = time.monotonic,
    store: ProcessStore | None = None,
    **environ: str,
) -> Flask:
    """Return an application whose tokens are validated below a limiter and a clock of the test."""
    settings = settings_of(keystone, **environ)
    store, seconds = store or ProcessStore(clock=clock), settings.token_cache_seconds
    validator = TokenValidator(open_keystone(settings), store, seconds, limiter)
    return create_app(settings, MemoryImageService(), KeystoneAuthenticate(validator))


def test_a_token_is_believed_for_as_long_as_set(moody: MoodyKeystone) -> None:
    clock = Clock()
    app = watched(moody, Watched(), clock, SHIM_TOKEN_CACHE_SECONDS="60")
    found = [ask(app).status_code]
    moody.mood = says(404, {"error": {"code": 404, "message": "revoked"}})
    for seconds in (59, 1):
        clock.now += seconds
        found.append(ask(app).status_code)
    moody.mood = None
    assert [200, 200, 401, 200] == [*found, ask(app).status_code]
    assert 3 == moody.validations()


def test_a_token_is_not_believed_for_longer_because_another_process_does(
    moody: MoodyKeystone,
) -> None:
    store = ProcessStore()
    for number, seconds in enumerate(("60", "60", "30"), start=1):
        app = watched(moody, Watched(), store=store, SHIM_TOKEN_CACHE_SECONDS=seconds)
        assert 200 == ask(app).status_code
        assert min(number, 2 if seconds == "30" else 1) == moody.validations()


@pytest.mark.parametrize(
    ("token", "accepted", "agent"),
    [
        ("0123456789abcdef0123456789abcdef", True, "***"),
        ("0123456789abcdef0123456789abcdef", False, "0123456789abcdef0123456789abcdef"),
        ("nova_image_shim.access", False, "nova_image_shim.access"),
        ("127.0.0.1", False, "127.0.0.1"),
        ("127.0.0.1", True, "***"),
    ],
)
def test_a_token_is_taken_out_of_what_a_client_sent_once_keystone_accepts_it(
    token: str,
    accepted: bool,
    agent: str,
    moody: MoodyKeystone,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def judge(request: Request) -> Response:
        if accepted and request.method == "GET":
            return says(200, moody._token("demo"))(request)
        return FakeKeystone.usual(moody, request)

    moody.mood = judge
    monkeypatch.setattr(caplog.handler, "formatter", RequestFormatter())
    with caplog.at_level("INFO", ACCESS_LOGGER):
        assert (200 if accepted else 401) == ask(
            over(moody), token=token, user_agent=token
        ).status_code
    (line,) = [line for line in caplog.text.splitlines() if " call: images.index " in line]
    assert " nova_image_shim.access [- req-" in line
    assert '] 127.0.0.1 "GET /v2/demo/images' in line
    assert line.endswith(f'agent: "{agent}"')


def end(data: Any) -> None:
    data["expires_at"] = "2020-01-01T00:00:00.000000Z"


def test_a_token_is_not_believed_beyond_its_own_end(moody: MoodyKeystone) -> None:
    moody.change = end
    app = over(moody)
    assert [REFUSED, REFUSED] == [told(ask(app)) for _ in range(2)]
    assert 1 == moody.validations()  # Keystone's answer is cached, and judged each time


@pytest.mark.parametrize(
    ("user", "service", "status"),
    [
        ("late", None, 401),
        ("late", token_of("nova"), 200),
        ("late", token_of("demo"), 401),
        ("late", "bad", 401),
        ("demo", None, 200),
        ("demo", token_of("nova"), 200),
        ("demo", token_of("demo"), 401),
        ("demo", "bad", 401),
    ],
)
def test_with_the_token_of_a_service_a_token_may_have_expired(
    user: str, service: str | None, status: int, moody: MoodyKeystone
) -> None:
    def change(data: Any) -> None:
        if data["project"]["id"] == "nova":
            data["roles"].append({"id": "s", "name": "service"})
        if data["project"]["id"] == "late":
            end(data)

    moody.change = change
    app = over(moody)
    more = {"X-Service-Token": service} if service else {}
    assert status == ask(app, f"/v2/{user}/images", token_of(user), **more).status_code
    allowed = [("allow_expired", "1")] if service == token_of("nova") else []
    validation = [
        seen for seen in moody.seen if seen.headers.get("x-subject-token") == token_of(user)
    ]
    assert allowed == validation[-1].query
    assert 401 == ask(app, "/v2/late/images", token_of("late")).status_code  # alone it is over


def at_once(app: Flask, *tokens: str) -> list[tuple[int, Any]]:
    """Send a request with each token, all at the same time."""

    def one(token: str) -> tuple[int, Any]:
        return told(ask(app, f"/v2/{project_of(token)}/images", token))

    with ThreadPoolExecutor(len(tokens)) as executor:
        return list(executor.map(one, tokens))


@pytest.mark.parametrize(
    ("mood", "cache_seconds", "answer"),
    [
        (None, "0", EMPTY),
        (None, "60", EMPTY),
        (says(404, {"error": {"code": 404, "message": "unknown"}}), "60", REFUSED),
        (says(500, {}), "60", AWAY),
    ],
)
def test_a_burst_of_one_new_token_asks_keystone_once(
    mood: Mood | None, cache_seconds: str, answer: tuple[int, Any], moody: MoodyKeystone
) -> None:
    limiter = Watched()
    app = watched(moody, limiter, SHIM_TOKEN_CACHE_SECONDS=cache_seconds)
    ask(app, token="bad")  # logs the service user in

    def slowly(request: Request) -> Response:
        limiter.wait_for(MANY - 1)
        return mood(request) if mood else FakeKeystone.usual(moody, request)

    moody.seen.clear()
    moody.mood = slowly
    assert [answer] * MANY == at_once(app, *[token_of("demo")] * MANY)
    assert 1 == moody.validations()
    moody.mood = None
    assert 200 == ask(app).status_code


def test_two_tokens_are_validated_at_the_same_time(moody: MoodyKeystone) -> None:
    app = warm(moody)
    both = threading.Barrier(2)  # breaks unless both validations are under way at once
    moody.asked = lambda _token: both.wait(5)
    assert [EMPTY] * 2 == at_once(app, token_of("one"), token_of("two"))


# Keystone out of order


def good_token_without(name: str, **more: Any) -> dict[str, Any]:
    lasting = FakeKeystone(token_lifetime=timedelta(days=1))  # longer than a whole run of the tests
    token = json.loads(json.dumps(lasting._token("demo")))["token"]
    del token[name]
    return {"token": token | more}


def elsewhere(request: Request) -> Response:
    return Response(status=302, headers={"Location": f"http://127.0.0.1:9{request.path}"})


FAILURES: dict[str, Mood] = {
    **{str(status): says(status, {"error": {}}) for status in (400, 403, 429, 500)},
    "502 page": says(502, b"<html><h1>502 Bad Gateway</h1></html>", Content_Type="text/html"),
    "503": says(503, {"error": {"code": 503, "message": "later"}}, Retry_After="1"),
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
    "a token with odd roles": says(200, good_token_without("roles", roles="admin")),
}


@pytest.mark.parametrize("mood", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize(("compose", "call"), [(over, LOGIN), (warm, VALIDATION)])
def test_a_keystone_out_of_order_is_asked_once_and_a_503_until_it_is_back(
    compose: Callable[[FakeKeystone], Flask],
    call: tuple[str, str],
    mood: Mood,
    moody: MoodyKeystone,
    glance: FakeGlance,
) -> None:
    app = compose(moody)
    glance.seen.clear()
    moody.mood = mood
    answer = ask(app)
    assert (AWAY, [call], []) == (told(answer), moody.calls(), glance.seen)
    assert "application/json; charset=UTF-8" == answer.headers["Content-Type"]
    moody.mood = None
    assert 200 == ask(app).status_code


LOGINS: dict[str, Any] = {
    "null": None,
    "a number": 5,
    "nobody": good_token_without("user")["token"],
    "roles without names": good_token_without("roles", roles=[{}])["token"],
    "a null catalog": good_token_without("catalog", catalog=None)["token"],
    "null in the catalog": good_token_without("catalog", catalog=[None])["token"],
    "endpoints that are a number": good_token_without(
        "catalog", catalog=[{"type": "identity", "endpoints": 5}]
    )["token"],
}


@pytest.mark.parametrize("token", LOGINS.values(), ids=LOGINS)
def test_a_login_of_no_use_is_forgotten(token: Any, moody: MoodyKeystone) -> None:
    moody.answers.append(says(201, {"token": token}, X_Subject_Token="of-no-use"))
    app = over(moody)
    assert (AWAY, [LOGIN]) == (told(ask(app)), moody.calls())
    assert 200 == ask(app).status_code


def test_a_redirect_of_keystone_is_not_followed(moody: MoodyKeystone) -> None:
    app = warm(moody)
    stranger = FakeKeystone()
    with serve(stranger) as stranger.url:
        moody.mood = lambda request: Response(
            status=302, headers={"Location": f"{stranger.url}{request.path}"}
        )
        assert AWAY == told(ask(app))
    assert [] == stranger.seen


@pytest.mark.parametrize(
    ("password", "answers"),
    [("wrong", []), ("", [says(404, b"404 page not found", Content_Type="text/plain")])],
    ids=["a wrong password", "a wrong address"],
)
@pytest.mark.parametrize("token", [token_of("demo"), "bad"])
def test_a_login_that_fails_is_no_clients_fault(
    password: str, answers: list[Mood], token: str, moody: MoodyKeystone
) -> None:
    moody.answers[:] = answers
    app = over(moody, **({"OS_PASSWORD": password} if password else {}))
    assert (AWAY, [LOGIN]) == (told(ask(app, token=token)), moody.calls())


def test_a_token_of_the_service_user_that_keystone_no_longer_takes_is_renewed(
    moody: MoodyKeystone,
) -> None:
    app = warm(moody)
    moody.answers.append(says(401, {"error": {"code": 401, "message": "expired"}}))
    assert 200 == ask(app).status_code
    assert [VALIDATION, LOGIN, VALIDATION] == moody.calls()


def test_a_keystone_that_refuses_connections_is_a_503_until_it_is_back(
    glance: FakeGlance,
) -> None:
    port = free_port()
    fake = MoodyKeystone(url=f"http://127.0.0.1:{port}", glance_url=glance.url)
    app = over(fake)
    other = ("/v2/other/images", token_of("other"))
    started = time.monotonic()
    assert AWAY == told(ask(app))
    assert time.monotonic() - started < 1
    with serving_at(port, fake):
        assert 200 == ask(app).status_code
    assert [AWAY, EMPTY] == [told(ask(app, *other)), told(ask(app))]  # one is still believed
    with serving_at(port, fake):
        assert 200 == ask(app, *other).status_code


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
    settings = settings_of(moody, SHIM_KEYSTONE_TIMEOUT=seconds)
    assert float(seconds) == open_keystone(settings).session.timeout


def is_away_within(seconds: float, app: Flask, token: str = token_of("demo")) -> bool:
    started = time.monotonic()
    assert AWAY == told(ask(app, token=token))
    return 0.3 < time.monotonic() - started < seconds


@pytest.mark.parametrize(
    "script", [[hears, waits()], [hears, drips(b"HTTP/1.1 200 OK\r\nX-More: " + b"m" * 600)]]
)
def test_a_keystone_that_does_not_answer_is_waited_for_no_longer_than_set(
    script: list[Step],
) -> None:
    with scripted(*[script] * 5) as server:
        app = over(FakeKeystone(url=server.url), SHIM_KEYSTONE_TIMEOUT="0.4")
        assert is_away_within(1.4, app)
    assert 1 == server.connections


@pytest.mark.parametrize("token", [token_of("demo"), "bad"])
def test_a_validation_is_waited_for_no_longer_than_set(token: str, moody: MoodyKeystone) -> None:
    app = warm(moody, SHIM_KEYSTONE_TIMEOUT="0.4")
    over_ = threading.Event()
    moody.asked = lambda _token: over_.wait(5)
    assert is_away_within(1.2, app, token)
    over_.set()
    assert [VALIDATION] == moody.calls()
