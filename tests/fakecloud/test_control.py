"""The control plane's calls: requests, responses and refusals."""

import re
from functools import cache
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from support.identity_answers import error
from support.paths import ROOT
from werkzeug.test import TestResponse

from fakecloud.images import COMPLETE, STATUS
from nova_image_shim.adapters.address import Address
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import Clock, FakeCloud
from nova_image_shim.fakecloud.control.app import create_control_app
from nova_image_shim.fakecloud.control.journal import Journal
from nova_image_shim.fakecloud.control.rules import RuleSchema
from nova_image_shim.fakecloud.document import Document
from nova_image_shim.fakecloud.seed import load_seed, to_seed
from nova_image_shim.settings import Settings

JSON = "application/json"
NOW = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
GIVEN = {"id": "an-id", "created_at": "2020-01-01T00:00:00Z"}
IMAGE = {**COMPLETE, **GIVEN, "updated_at": GIVEN["created_at"]}


class LocalClient(FlaskClient):
    """A client that finds the service where it is bound by default."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"base_url": "http://127.0.0.1:8774"} | kwargs)


def app_of(bind: str = "127.0.0.1:8774") -> Flask:
    host, _, port = bind.rpartition(":")
    return create_cloud_app(Settings(bind=Address(host, int(port))), FakeCloud(load_seed()))


shared_app = cache(app_of)


def client_of(app: Flask) -> FlaskClient:
    client = LocalClient(app)
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client


@pytest.fixture
def client() -> FlaskClient:
    shared_app().extensions["fake_cloud"].reset()
    return client_of(shared_app())


def bad(message: str) -> tuple[int, dict[str, Any]]:
    """Return the response to an invalid request."""
    return 400, error(400, "Bad Request", message)


def told(answer: TestResponse) -> tuple[int, Any]:
    """Return status and body, None for an empty one."""
    return answer.status_code, answer.json if answer.data else None


def names(client: FlaskClient) -> list[str]:
    """Return the names of the images that a client of the API sees."""
    answer = client.get("/v2/demo/images")
    assert answer.json
    return [image["name"] for image in answer.json["images"]]


# The index


def test_the_index_describes_the_control_plane(client: FlaskClient) -> None:
    expected = {
        "notice": "This is a fake cloud for tests. Nothing here is secure: passwords are known "
        "to all, and whoever reaches this address can read and change everything.",
        "links": {
            name: f"/_fake/{name}"
            for name in (
                *("images", "requests", "rules", "clock", "tokens", "reset"),
                "openapi.json",
            )
        },
    }
    assert (200, expected) == told(client.get("/_fake/"))


def test_a_missing_final_slash_redirects(client: FlaskClient) -> None:
    answer = client.get("/_fake")
    assert (308, "http://127.0.0.1:8774/_fake/") == (answer.status_code, answer.location)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        *((accept, JSON) for accept in (None, "*/*", "application/json", "image/png")),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
    ],
)
def test_a_browser_gets_a_page_and_other_clients_json(
    accept: str | None, content_type: str, client: FlaskClient
) -> None:
    answer = client.get("/_fake/", headers={"Accept": accept} if accept else {})
    assert content_type == answer.content_type


ANN = {"name": "ann", "password": "hunter2", "roles": {"acme": ["member"]}}
FIXED = "the tokens demo, alt, admin always work, each for the project of its name"


@pytest.mark.parametrize(
    ("seed", "settings", "hint", "password", "has_docs"),
    [
        ({}, {}, FIXED, "demo", True),
        ({}, {"docs": False}, FIXED, "demo", False),
        (
            {"projects": [{"name": "alt"}]},
            {},
            "the token alt always works, each for the project of its name",
            "alt",
            True,
        ),
        (
            {"projects": [{"name": "acme"}], "users": [ANN]},
            {},
            "the passwords are those of the seed file",
            "...",
            True,
        ),
    ],
)
def test_the_page_shows_how_to_log_in_and_no_password_of_a_seed(
    seed: dict[str, Any], settings: dict[str, Any], hint: str, password: str, has_docs: bool
) -> None:
    cloud = FakeCloud(to_seed(Document("seed", seed)))
    named = Settings(backend="memory", fake_hosts=("fake_cloud",), **settings)
    client = LocalClient(create_cloud_app(named, cloud))
    page = client.get("/_fake/", headers={"Accept": "text/html", "Host": "fake_cloud:1"}).text
    assert hint in " ".join(page.split())
    assert [password] == re.findall(r"OS_PASSWORD=(\S+)", page)
    assert "OS_AUTH_URL=http://fake_cloud:1/identity/v3 " in page
    assert "hunter2" not in page
    assert has_docs == ('href="../docs"' in page)


NOTHING = error(404, "Not Found", "there is nothing at this path: GET /_fake/ lists the calls")
METHOD = error(405, "Method Not Allowed", "The method is not allowed for the requested URL.")


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "allow"),
    [
        ("GET", "/_fake/nothing", 404, NOTHING, None),
        ("GET", "/_fake/rules/one", 404, NOTHING, None),
        ("DELETE", "/_fake/images", 405, METHOD, {"GET", "HEAD", "POST", "PUT"}),
        ("OPTIONS", "/_fake/images/an-id", 405, METHOD, {"GET", "HEAD", "PATCH", "DELETE"}),
    ],
)
def test_other_paths_and_methods_are_refused_in_json(
    method: str, path: str, status: int, body: Any, allow: set[str] | None, client: FlaskClient
) -> None:
    answer = client.open(path, method=method)
    assert (status, body) == told(answer)
    assert allow == (set(answer.headers["Allow"].split(", ")) if allow else None)


def test_responses_forbid_caching_framing_and_sniffing(client: FlaskClient) -> None:
    answer = client.get("/_fake/images")
    assert {
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }.items() <= dict(answer.headers).items()


# Images


def test_an_added_image_is_completed_and_keeps_its_id(client: FlaskClient) -> None:
    wanted = GIVEN | {"name": "debian", "os_distro": "debian", "owner": "alt"}
    added = IMAGE | wanted | {"visibility": "shared"}
    answer = client.post("/_fake/images", json=wanted)
    assert (201, added) == told(answer)
    assert "/_fake/images/an-id" == answer.headers["Location"]
    message = "image an-id already exists: change it, or delete it first"
    conflict = 409, error(409, "Conflict", message)
    assert conflict == told(client.post("/_fake/images", json=GIVEN))
    assert (200, added) == told(client.get("/_fake/images/an-id"))
    assert "debian" not in names(client)


def test_a_new_image_gets_an_id_and_the_cloud_time(client: FlaskClient) -> None:
    added = client.post("/_fake/images", json={}).json
    assert added
    assert re.fullmatch(r"[0-9a-f-]{36}", added["id"])
    assert NOW.fullmatch(added["created_at"])
    times = {"created_at": added["created_at"], "updated_at": added["created_at"]}
    assert IMAGE | {"id": added["id"]} | times == added


def test_an_image_can_be_set_to_any_status(client: FlaskClient) -> None:
    client.post("/_fake/images", json=GIVEN | {"status": "queued"})
    shown = []
    for status in ("queued", "saving", "active", "deactivated", "killed"):
        client.patch("/_fake/images/an-id", json={"status": status})
        answer = client.get("/v2/demo/images/an-id").json
        assert answer
        shown.append((answer["image"]["status"], answer["image"]["progress"]))
    assert [("SAVING", 25), ("SAVING", 50), ("ACTIVE", 100), ("UNKNOWN", 0), ("ERROR", 0)] == shown


def test_any_attribute_can_change_and_null_removes_a_property(client: FlaskClient) -> None:
    given = GIVEN | {"name": "one", "kernel_id": "k", "ramdisk_id": "r"}
    client.post("/_fake/images", json=given)
    changes = {
        "name": None,
        "kernel_id": None,
        "owner": "alt",
        "visibility": "shared",
        "members": {"demo": "accepted"},
        "updated_at": "2021-02-03T04:05:06+01:00",
    }
    expected = IMAGE | {
        "ramdisk_id": "r",
        "owner": "alt",
        "visibility": "shared",
        "members": {"demo": "accepted"},
        "updated_at": "2021-02-03T03:05:06Z",
    }
    assert (200, expected) == told(client.patch("/_fake/images/an-id", json=changes))
    assert (200, expected) == told(client.get("/_fake/images/an-id"))


def test_a_change_sets_the_update_time(client: FlaskClient) -> None:
    client.post("/_fake/clock", json={"advance_seconds": 10 * 365 * 86400})
    client.post("/_fake/images", json=GIVEN)
    changed = client.patch("/_fake/images/an-id", json={"name": "two"}).json
    assert changed
    assert changed["updated_at"] > "2035"
    assert changed["created_at"] == GIVEN["created_at"]


def test_a_protected_image_can_be_deleted(client: FlaskClient) -> None:
    client.post("/_fake/images", json=GIVEN | {"protected": True, "owner": "alt"})
    assert (204, None) == told(client.delete("/_fake/images/an-id"))
    missing = 404, error(404, "Not Found", "image an-id does not exist")
    assert missing == told(client.delete("/_fake/images/an-id"))
    assert missing == told(client.get("/_fake/images/an-id"))
    assert missing == told(client.patch("/_fake/images/an-id", json={}))


@pytest.mark.parametrize("wrap", [False, True])
def test_all_images_are_replaced(wrap: bool, client: FlaskClient) -> None:
    listed = client.get("/_fake/images").json
    images = [GIVEN, GIVEN | {"id": "two", "name": "two"}]
    expected = {"images": [IMAGE, IMAGE | {"id": "two", "name": "two"}]}
    for body, shown in (({"images": images} if wrap else images, expected), (listed, listed)):
        assert (204, None) == told(client.put("/_fake/images", json=body))
        assert (200, shown) == told(client.get("/_fake/images"))
    client.put("/_fake/images", json=[])
    assert [] == names(client)


SIZE = f"size: Must be greater than or equal to 0 and less than or equal to {2**63 - 1}."
NO_NUMBER = "advance_seconds: Not a valid number."
RANGE = "Must be greater than or equal to 0 and less than or equal to 1000000000000."
RULE = "status: Must be an HTTP status of 400 or more.; delay: Unknown field."
PAGING = "must be a whole number of at most 15 digits"


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "images", [], "image 1: Invalid input type."),
        ("POST", "images", "text", "image 1: Invalid input type."),
        ("POST", "images", 1, "image 1: Invalid input type."),
        ("POST", "images", {"id": "a", "status": "odd"}, f"image 1 (id a): {STATUS}"),
        ("POST", "images", {"id": "a", "size": -1}, f"image 1 (id a): {SIZE}"),
        ("POST", "images", {"id": "a", "n": 1}, "image 1 (id a): n: Not a valid string."),
        ("PATCH", "images/an-id", {"status": "odd"}, f"image 1 (id an-id): {STATUS}"),
        ("PATCH", "images/an-id", {"id": "other"}, "id: cannot be changed"),
        ("PATCH", "images/an-id", {"id": None}, "id: cannot be changed"),
        ("PATCH", "images/an-id", ["status"], "the changes must be a JSON object"),
        ("PUT", "images", {}, "must be a list of at most 100000 images"),
        ("PUT", "images", {"images": {}}, "must be a list of at most 100000 images"),
        ("PUT", "images", [{"id": "a"}] * 2, "image 2 (id a): id: already used by another image"),
        ("PUT", "images", [{"id": "a"}, {}], "image 2: id: Missing data for required field."),
        ("POST", "clock", {}, "advance_seconds: Missing data for required field."),
        ("POST", "clock", [], "Invalid input type."),
        ("POST", "clock", {"advance_seconds": -1}, f"advance_seconds: {RANGE}"),
        ("POST", "clock", {"advance_seconds": "60"}, NO_NUMBER),
        ("POST", "clock", {"advance_seconds": True}, NO_NUMBER),
        ("POST", "clock", {"advance_seconds": None}, "advance_seconds: Field may not be null."),
        ("POST", "clock", {"advance_seconds": 1, "now": "x"}, "now: Unknown field."),
        ("POST", "clock", {"advance_seconds": 10**12}, "the clock would go beyond the year 9999"),
        ("PUT", "tokens", {"token_seconds": 0.5}, "token_seconds: Not a valid integer."),
        ("POST", "rules", {"status": 200, "delay": 1}, RULE),
        *(("GET", f"requests?after={n}", None, f"after: {PAGING}") for n in (-1, "x", 10**15)),
        *(("GET", f"requests?limit={n}", None, f"limit: {PAGING}") for n in ("", 1.5)),
    ],
)
def test_an_invalid_request_is_refused_and_changes_nothing(
    method: str, path: str, body: Any, message: str, client: FlaskClient
) -> None:
    def state() -> list[Any]:
        return [client.get(f"/_fake/{part}").json for part in ("images", "rules", "tokens")]

    client.post("/_fake/images", json=GIVEN)
    before = state()
    assert bad(message) == told(client.open(f"/_fake/{path}", method=method, json=body))
    assert before == state()


@pytest.mark.parametrize("body", [b"", b"{", b"name=x", b'{"a": NaN}', b"\xff", b"[" * 5000])
def test_an_invalid_json_body_is_refused(body: bytes, client: FlaskClient) -> None:
    with pytest.raises(orjson.JSONDecodeError) as caught:
        orjson.loads(body)
    answer = client.post("/_fake/images", data=body, content_type="application/json")
    assert bad(f"the body is not valid JSON: {caught.value}") == told(answer)


def test_a_files_byte_order_mark_is_accepted(client: FlaskClient) -> None:
    body = b"\xef\xbb\xbf" + orjson.dumps([GIVEN])
    answer = client.put("/_fake/images", data=body, content_type="application/json")
    assert (204, None) == told(answer)
    assert {"images": [IMAGE]} == client.get("/_fake/images").json


def test_a_large_body_is_refused(client: FlaskClient) -> None:
    answer = client.put(
        "/_fake/images",
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(2**26 + 1)},
    )
    message = "The data value transmitted exceeds the capacity limit."
    assert (413, error(413, "Request Entity Too Large", message)) == told(answer)


# Requests


def seen(number: int, path: str, **other: Any) -> dict[str, Any]:
    return {
        "number": number,
        "method": "GET",
        "path": path,
        "query": "",
        "user_agent": "test",
        "status": 200,
        "rule": None,
    } | other


def journal(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    """Return the journal without its times, headers and bodies."""
    answer = client.get(f"/_fake/requests{query}").json
    assert answer
    for entry in answer["requests"]:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
        for name in ("headers", "body", "body_bytes"):
            del entry[name]
    return answer["requests"]  # type: ignore[no-any-return]


@pytest.fixture
def agent() -> FlaskClient:
    """Return a client of a new cloud, whose requests and rules are counted from 1."""
    client = client_of(app_of())
    client.environ_base["HTTP_USER_AGENT"] = "test"
    return client


PAGES = ["/docs", "/docs/", "/docs/swagger-ui.css", "/docs/none", "/openapi.json", "/favicon.ico"]


@pytest.mark.parametrize("path", ["/_fake/", "/_fake/static/control.js", "/healthcheck", *PAGES])
def test_what_browsers_and_probes_load_is_not_recorded_and_meets_no_rule(
    path: str, agent: FlaskClient
) -> None:
    with agent.get(path) as usual:
        agent.post("/_fake/rules", json={"status": 500})
    with agent.get(path) as answer:
        assert (usual.status_code, []) == (answer.status_code, journal(agent))


@pytest.mark.parametrize("path", ["/docs.json", "/docsx", "/v2/docs", "/openapi", "/v2/demo/docs/"])
def test_a_path_that_only_resembles_those_is_recorded(path: str, agent: FlaskClient) -> None:
    agent.get(path)
    assert [path] == [entry["path"] for entry in journal(agent)]


def test_all_requests_of_clients_are_recorded(agent: FlaskClient) -> None:
    agent.get("/v2/demo/images?name=a%20b&limit=1")
    agent.delete("/v2/demo/images/none", headers={"User-Agent": ""})
    agent.get("/nowhere")
    expected = [
        seen(1, "/v2/demo/images", query="name=a%20b&limit=1"),
        seen(2, "/v2/demo/images/none", method="DELETE", status=404, user_agent=""),
        seen(3, "/nowhere", status=404),
    ]
    assert expected == journal(agent)


def test_requests_are_listed_from_a_number_which_a_clear_keeps(agent: FlaskClient) -> None:
    for path in ("/", "/v2", "/v2/"):
        agent.get(path)
    assert [seen(2, "/v2"), seen(3, "/v2/")] == journal(agent, "?after=1")
    assert [seen(3, "/v2/")] == journal(agent, "?limit=1")
    assert [] == journal(agent, "?after=3")
    assert (204, None) == told(agent.delete("/_fake/requests"))
    agent.get("/v2")
    assert [seen(4, "/v2")] == journal(agent)


def test_tokens_are_not_recorded(agent: FlaskClient) -> None:
    token = "0123456789abcdef"
    tokens = {"X-Auth-Token": token, "X-Subject-Token": token[::-1]}
    agent.get(f"/v2/demo/images?t={token}&u={token[::-1]}", headers=tokens)
    agent.get(f"/v2/{token}/images", headers={**tokens, "User-Agent": f"test {token}"})
    agent.get("/identity/v2.0/tokens/fedcba9876543210?belongsTo=demo")
    expected = [
        ("/v2/demo/images", "t=***&u=***", "test"),
        ("/v2/***/images", "", "test ***"),
        ("/identity/v2.0/tokens/***", "belongsTo=demo", "test"),
    ]
    entries = journal(agent)
    assert expected == [(entry["path"], entry["query"], entry["user_agent"]) for entry in entries]


def test_the_journal_has_a_limit(agent: FlaskClient) -> None:
    agent.get(f"/v2/{'x' * 3000}?{'y' * 3000}", headers={"User-Agent": "z" * 3000})
    entry = journal(agent)[0]
    assert [2048] * 3 == [len(entry[name]) for name in ("path", "query", "user_agent")]
    full = Journal(Clock().now)
    for _ in range(10_001):
        full.begin({"REQUEST_METHOD": "GET", "PATH_INFO": "/"})
    numbers = [entry["number"] for entry in full.entries()]
    assert (2, 10_001, 10_000) == (numbers[0], numbers[-1], len(numbers))


def details(client: FlaskClient) -> list[tuple[dict[str, str], str | None, int]]:
    answer: Any = client.get("/_fake/requests")
    return [
        (entry["headers"], entry["body"], entry["body_bytes"]) for entry in answer.json["requests"]
    ]


def test_headers_and_json_are_recorded(agent: FlaskClient) -> None:
    agent.post("/image/v2/images", json={"name": "é"}, headers={"X-Trace": "1"})
    ((headers, body, size),) = details(agent)
    assert ("1", "***", JSON) == tuple(
        headers[name] for name in ("X-Trace", "X-Auth-Token", "Content-Type")
    )
    assert ({"name": "é"}, size) == (orjson.loads(body or ""), len((body or "").encode()))


def test_bodies_with_secrets_and_of_other_types_are_not_recorded(agent: FlaskClient) -> None:
    token = "0123456789abcdef"
    user = {"name": "demo", "password": "hunter2", "domain": {"id": "default"}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    agent.post("/identity/v3/auth/tokens", json={"auth": auth})
    agent.post("/image/v2/images", json={"a": token}, headers={"X-Auth-Token": token})
    octets = {"data": b"123", "content_type": "application/octet-stream"}
    agent.post("/v2/demo/images", headers={"Authorization": "Basic x"}, **octets)
    agent.post("/_fake/rules", json={"path": "/image/*", "status": 503})
    agent.post("/image/v2/images", json={"a": token}, headers={"X-Service-Token": "0" * 9})
    login, refused, other, faulty = details(agent)
    assert ("***", None, None) == (login[1], refused[1], other[1])
    assert "***" == other[0]["Authorization"]
    assert ("***", {"a": token}) == (faulty[0]["X-Service-Token"], orjson.loads(faulty[1] or ""))


def test_recorded_details_have_limits(agent: FlaskClient) -> None:
    headers = {f"X-{number}": "x" * 600 for number in range(60)}
    agent.post("/image/v2/images", json={"name": "x" * 9000}, headers=headers)
    ((found, body, size),) = details(agent)
    assert (50, 512, 8192) == (len(found), max(map(len, found.values())), len(body or ""))
    assert size > 9000
    full = Journal(Clock().now)
    for _ in range(1001):
        full.begin({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_A": "b"})
    kept = [entry["headers"] for entry in full.entries()]
    assert [{}, *[{"A": "b"}] * 1000] == kept


def test_the_document_of_the_control_plane_has_every_call(client: FlaskClient) -> None:
    document: Any = client.get("/_fake/openapi.json").json
    validate(document)
    control = create_control_app(FakeCloud(load_seed()), "127.0.0.1:8774")
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in control.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    written = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    }
    assert served == written
    rule = document["components"]["schemas"]["NewRule"]["properties"]
    assert RuleSchema().fields.keys() == rule.keys()


def test_the_data_of_an_image_is_shown(client: FlaskClient) -> None:
    body = {"disk_format": "raw", "container_format": "bare"}
    created: Any = client.post("/image/v2/images", json=body)
    image_id = created.json["id"]
    path = f"/_fake/images/{image_id}/data"
    assert (200, b"") == ((answer := client.get(path)).status_code, answer.data)
    octets = {"data": b"123", "content_type": "application/octet-stream"}
    client.put(f"/image/v2/images/{image_id}/file", **octets)
    client.post(f"/image/v2/images/{image_id}/members", json={"member": "alt"})
    assert b"123" == client.get(path).data
    shown: Any = client.get(f"/_fake/images/{image_id}")
    assert ({"alt": "pending"}, 3) == (shown.json["members"], shown.json["size"])
    changed: Any = client.patch(f"/_fake/images/{image_id}", json={"name": "x"})
    assert (200, b"123") == (changed.status_code, client.get(path).data)
    assert 404 == client.get("/_fake/images/none/data").status_code


# Rules


def test_a_rule_can_be_added_shown_and_deleted(agent: FlaskClient) -> None:
    given = {"path": "/v2", "status": 503, "retry_after": 2}
    rule = {"id": 1, "path": "/v2", "status": 503, "retry_after": "2", "hits": 0}
    answer = agent.post("/_fake/rules", json=given)
    assert (201, rule) == told(answer)
    assert "/_fake/rules/1" == answer.headers["Location"]
    assert 503 == agent.get("/v2").status_code
    assert (200, rule | {"hits": 1}) == told(agent.get("/_fake/rules/1"))
    assert (200, {"rules": [rule | {"hits": 1}]}) == told(agent.get("/_fake/rules"))
    assert (204, None) == told(agent.delete("/_fake/rules/1"))
    missing = 404, error(404, "Not Found", "rule 1 does not exist")
    assert missing == told(agent.get("/_fake/rules/1"))
    assert missing == told(agent.delete("/_fake/rules/1"))
    agent.post("/_fake/rules", json=given)
    assert (204, None) == told(agent.delete("/_fake/rules"))
    assert (200, {"rules": []}) == told(agent.get("/_fake/rules"))
    agent.get("/v2")
    assert [seen(1, "/v2", status=503, rule=1), seen(2, "/v2")] == journal(agent)


# Clock and tokens


def test_the_clock_advances_and_resets(client: FlaskClient) -> None:
    def clock() -> Any:
        return client.get("/_fake/clock").json

    assert 0 == clock()["ahead_seconds"]
    answer = client.post("/_fake/clock", json={"advance_seconds": 3600})
    assert (200, 3600) == (answer.status_code, answer.json and answer.json["ahead_seconds"])
    client.post("/_fake/clock", json={"advance_seconds": 0.5})
    assert {"now", "ahead_seconds"} == clock().keys()
    assert 3600.5 == clock()["ahead_seconds"]
    assert NOW.fullmatch(clock()["now"])
    assert (204, None) == told(client.delete("/_fake/clock"))
    assert 0 == clock()["ahead_seconds"]


def test_the_lifetime_of_new_tokens_can_be_set(client: FlaskClient) -> None:
    assert (200, {"token_seconds": 3600}) == told(client.get("/_fake/tokens"))
    answer = client.put("/_fake/tokens", json={"token_seconds": 60})
    assert (200, {"token_seconds": 60}) == told(answer)
    assert (200, {"token_seconds": 60}) == told(client.get("/_fake/tokens"))
    assert (204, None) == told(client.delete("/_fake/tokens"))
    assert (200, {"token_seconds": 3600}) == told(client.get("/_fake/tokens"))


# Reset


def test_a_reset_restores_the_seed(client: FlaskClient) -> None:
    before = client.get("/_fake/images").json
    client.put("/_fake/images", json=[])
    client.post("/_fake/rules", json={"status": 503})
    client.post("/_fake/clock", json={"advance_seconds": 3600})
    client.put("/_fake/tokens", json={"token_seconds": 60})
    assert [503] == [client.get("/v2/demo/images").status_code]
    assert (204, None) == told(client.post("/_fake/reset", json={}))
    assert before == client.get("/_fake/images").json
    assert (200, {"rules": []}) == told(client.get("/_fake/rules"))
    assert (200, {"requests": []}) == told(client.get("/_fake/requests"))
    assert (200, {"token_seconds": 3600}) == told(client.get("/_fake/tokens"))
    clock = client.get("/_fake/clock").json
    assert clock
    assert 0 == clock["ahead_seconds"]


# Requests from other sites

LOOPBACK = ": the control plane answers to a loopback address or localhost"
PUBLIC = f"{LOOPBACK}, any address, or a name without a dot"


LOCAL, EVERY = "127.0.0.1:8774", "0.0.0.0:8774"
NAMELESS = "Host missing or malformed"


@pytest.mark.parametrize(
    ("bind", "hosts"),
    [
        (LOCAL, [LOCAL, "127.0.0.1", "127.8.9.10:80", "LocalHost:8774", "[::1]:1"]),
        (EVERY, ["localhost:8774", "192.0.2.7:8774", "[2001:db8::7]", "shim:8774"]),
        ("cloud.example:8774", ["cloud.example:8774"]),
    ],
)
def test_a_host_of_this_machine_is_allowed(bind: str, hosts: list[str]) -> None:
    client = client_of(shared_app(bind))
    answers = {host: client.get("/_fake/", headers={"Host": host}).status_code for host in hosts}
    assert dict.fromkeys(hosts, 200) == answers


def test_a_host_of_the_settings_is_allowed() -> None:
    app = create_cloud_app(Settings(fake_hosts=("cloud.example",)), FakeCloud(load_seed()))
    answers = [
        client_of(app).get("/_fake/", headers={"Host": host}).status_code
        for host in ("cloud.example:80", "www.cloud.example")
    ]
    assert [200, 403] == answers


@pytest.mark.parametrize(
    ("bind", "host", "message"),
    [
        (LOCAL, "evil.example:8774", f"Host evil.example{LOOPBACK}"),
        (LOCAL, "localhost.evil.example", f"Host localhost.evil.example{LOOPBACK}"),
        (LOCAL, "127.0.0.1.evil.example", f"Host 127.0.0.1.evil.example{LOOPBACK}"),
        (LOCAL, "192.0.2.7:8774", f"Host 192.0.2.7{LOOPBACK}"),
        (LOCAL, "shim", f"Host shim{LOOPBACK}"),
        (LOCAL, "127.0.0.1@evil.example", f"{NAMELESS}{LOOPBACK}"),
        (LOCAL, "", f"{NAMELESS}{LOOPBACK}"),
        (EVERY, "evil.example", f"Host evil.example{PUBLIC}"),
        (EVERY, "", f"{NAMELESS}{PUBLIC}"),
    ],
)
def test_a_foreign_host_is_refused(bind: str, host: str, message: str) -> None:
    answer = client_of(shared_app(bind)).get("/_fake/images", headers={"Host": host})
    assert (403, error(403, "Forbidden", message)) == told(answer)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "http://evil.example", "http://127.0.0.1:8774.evil.example"),
        *("http://127.0.0.1", "http://127.0.0.1:8000", "https://127.0.0.1:8774"),
        "http://localhost:8774",
    ],
)
def test_a_foreign_origin_is_refused(origin: str, method: str, client: FlaskClient) -> None:
    message = f"Origin {origin}: only the control plane's own page may send requests"
    answer = client.open(
        "/_fake/rules", method=method, headers={"Origin": origin}, json={"status": 503}
    )
    assert (403, error(403, "Forbidden", message)) == told(answer)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert (200, {"rules": []}) == told(client.get("/_fake/rules"))


@pytest.mark.parametrize(
    "headers",
    [{"Origin": f"http://{LOCAL}"}, {"Content-Type": "application/json; charset=UTF-8"}],
)
def test_the_own_origin_and_a_charset_are_allowed(
    headers: dict[str, str], client: FlaskClient
) -> None:
    answer = client.post("/_fake/reset", data=b"{}", headers={"Content-Type": JSON} | headers)
    assert (204, None) == told(answer)


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "/_fake/reset", None),
        ("POST", "/_fake/reset", "text/plain"),
        ("POST", "/_fake/rules", "application/x-www-form-urlencoded"),
        ("POST", "/_fake/rules", "multipart/form-data; boundary=x"),
        ("POST", "/_fake/images", "text/plain; application/json"),
        ("PUT", "/_fake/images", "application/jsonx"),
        ("PATCH", "/_fake/images/an-id", None),
        ("DELETE", "/_fake/images/an-id", "text/plain"),
    ],
)
def test_content_types_of_forms_are_refused(
    method: str, path: str, content_type: str | None, client: FlaskClient
) -> None:
    answer = client.open(path, method=method, data=b'{"status": 503}', content_type=content_type)
    message = f"{method} needs Content-Type: application/json; an empty body is {{}}"
    assert (415, error(415, "Unsupported Media Type", message)) == told(answer)
    assert (200, {"rules": []}) == told(client.get("/_fake/rules"))


# Unexpected errors


class BrokenCloud(FakeCloud):
    """A cloud with a bug."""

    def image(self, image_id: str) -> dict[str, Any]:
        raise RuntimeError("a secret of the inside")


def test_an_unexpected_error_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = LocalClient(create_cloud_app(Settings(), BrokenCloud(load_seed())))
    message = "an unexpected error: see the service's log"
    expected = 500, error(500, "Internal Server Error", message)
    assert expected == told(client.get("/_fake/images/an-id"))
    assert "a secret of the inside" in caplog.text


# The documentation


def test_every_call_and_every_field_of_a_rule_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "fake-cloud.md").read_text("utf-8")
    calls = re.findall(r"^\| `([A-Z]+) /_fake(/\S*)` \|", text, re.MULTILINE)
    rules = create_control_app(FakeCloud(load_seed()), "127.0.0.1:8774").url_map.iter_rules()
    served = [
        (method, re.sub("<.*>", "{id}", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD"}
        if rule.endpoint != "static"
    ]
    assert sorted(served) == sorted(calls)
    fields = re.findall(r"^\| `(\w+)` \|", text[text.index("### Fault rules") :], re.MULTILINE)
    assert set(RuleSchema().fields) <= set(fields)
