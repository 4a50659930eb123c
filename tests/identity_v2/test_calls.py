"""Identity v2.0 in front of Keystone v3: what Keystone is asked, and the whole answers."""

import json
import re
from typing import Any
from unittest.mock import ANY

import pytest
from flask.testing import FlaskClient
from support.fakes import says
from support.identity_answers import (
    API_KEY,
    BASE,
    CREDENTIALS,
    FIELD,
    NO_TOKEN,
    ROOTS,
    error,
    login_v2,
)

from .conftest import EmbeddedKeystone, Front

REFUSED = error(401, "Unauthorized", "The request you have made requires authentication.")
AWAY = error(
    503,
    "Service Unavailable",
    "The identity service is currently unavailable. Please try again at a later time.",
)
DEMO = {"id": "demo", "name": "demo", "enabled": True, "description": None}
DEFAULT = {"domain": {"id": "default"}}
BY_PASSWORD = {
    "methods": ["password"],
    "password": {"user": {"name": "demo", **DEFAULT, "password": "demo"}},
}
BY_ID = {"methods": ["password"], "password": {"user": {"id": "demo", "password": "demo"}}}
BY_TOKEN = {"methods": ["token"], "token": {"id": "demo"}}
NAMED = {"project": {"name": "demo", **DEFAULT}}
KEY = {API_KEY: {"username": "demo", "apiKey": "demo"}}

# What a client sends, and the `auth` that Keystone gets.
LOGINS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"passwordCredentials": CREDENTIALS, "tenantName": "demo"},
        {"identity": BY_PASSWORD, "scope": NAMED},
    ),
    (
        {"passwordCredentials": CREDENTIALS, "tenantId": "demo"},
        {"identity": BY_PASSWORD, "scope": {"project": {"id": "demo"}}},
    ),
    (
        {"passwordCredentials": {"userId": "demo", "password": "demo"}, "tenantId": "demo"},
        {"identity": BY_ID, "scope": {"project": {"id": "demo"}}},
    ),
    (  # a name counts more than an id
        {
            "passwordCredentials": {**CREDENTIALS, "userId": "x"},
            "tenantName": "demo",
            "tenantId": "x",
        },
        {"identity": BY_PASSWORD, "scope": NAMED},
    ),
    ({"passwordCredentials": CREDENTIALS}, {"identity": BY_PASSWORD, "scope": "unscoped"}),
    (
        {"passwordCredentials": CREDENTIALS, "tenantName": "", "tenantId": None},
        {"identity": BY_PASSWORD, "scope": "unscoped"},
    ),
    ({"token": {"id": "demo"}}, {"identity": BY_TOKEN, "scope": "unscoped"}),
    ({"token": {"id": "demo"}, "tenantName": "demo"}, {"identity": BY_TOKEN, "scope": NAMED}),
    (KEY, {"identity": BY_PASSWORD}),
    ({**KEY, "tenantName": "demo"}, {"identity": BY_PASSWORD, "scope": NAMED}),
]


def endpoint(url: str, **more: str) -> dict[str, Any]:
    urls = dict.fromkeys(("publicURL", "internalURL", "adminURL"), url)
    return {"id": ANY, "tenantId": "demo", "region": "RegionOne", **urls, **more}


def service(type_: str, name: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    return {"type": type_, "name": name, "endpoints_links": [], "endpoints": list(endpoints)}


def catalog(keystone: str, compute: str = "nova") -> list[dict[str, Any]]:
    return [
        service("compute", compute, endpoint(f"{keystone}/v2/demo")),
        service("identity", "keystone", endpoint(f"{BASE}/identity/v2.0")),
        service("image", "glance", endpoint(f"{keystone}/image")),
        service("computev21", "novav21", endpoint(f"{keystone}/v2.1/demo")),
    ]


def access_of(keystone: str, sent: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one of the logins above."""
    scoped = bool(sent.get("tenantName") or sent.get("tenantId"))
    compute = "cloudServersOpenStack" if API_KEY in sent else "nova"
    region = {"RAX-AUTH:defaultRegion": "RegionOne"} if API_KEY in sent and scoped else {}
    token: dict[str, Any] = {"id": ANY, "issued_at": ANY, "expires": ANY, "audit_ids": ANY}
    user = {"id": "demo", "name": "demo", "username": "demo", "roles_links": [], **region}
    return {
        "access": {
            "token": token | ({"tenant": DEMO} if scoped else {}),
            "user": {**user, "roles": [{"name": "member"}] if scoped else []},
            "metadata": {"is_admin": 0, "roles": [ANY] if scoped else []},
            "serviceCatalog": catalog(keystone, compute) if scoped else [],
        }
    }


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(("sent", "asked"), LOGINS)
def test_a_login_is_one_login_at_v3(
    front: Front, v3_keystone: EmbeddedKeystone, sent: Any, asked: Any, root: str
) -> None:
    answer = login_v2(front(), sent, root)
    assert (200, access_of(v3_keystone.url, sent)) == (answer.status_code, answer.json)
    (call,) = v3_keystone.seen
    assert ("POST", "/identity/v3/auth/tokens") == (call.method, call.path)
    assert {"auth": asked} == json.loads(call.body)
    assert "x-auth-token" not in call.headers
    token = answer.json["access"]["token"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", token["expires"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", token["issued_at"])
    assert "private, no-store" == answer.headers["Cache-Control"]


def test_names_are_resolved_in_the_configured_domain(
    front: Front, v3_keystone: EmbeddedKeystone
) -> None:
    sent = {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}
    assert 401 == login_v2(front(SHIM_IDENTITY_V2_DOMAIN_ID="other"), sent).status_code
    auth = json.loads(v3_keystone.seen[0].body)["auth"]
    named = [auth["identity"]["password"]["user"], auth["scope"]["project"]]
    assert [{"id": "other"}] * 2 == [item["domain"] for item in named]


@pytest.mark.parametrize(
    "path", ["/identity", "/identity/v2.0", "/v2.0/", "/identity/v2.0/tokens/"]
)
def test_a_login_works_at_the_address_of_a_version(front: Front, path: str) -> None:
    body = {"auth": {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}}
    answer: Any = front().post(path, json=body)
    assert (200, "demo") == (answer.status_code, answer.json["access"]["user"]["id"])
    refused: Any = front().post(path, data=b"{")
    assert (400, "Bad Request") == (refused.status_code, refused.json["error"]["title"])


def test_the_calls_about_a_token_are_made_with_that_token(
    front: Front, v3_keystone: EmbeddedKeystone
) -> None:
    client = front()
    login = login_v2(client, {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}).json
    token = login["access"]["token"]["id"]
    v3_keystone.seen.clear()
    headers = {"X-Auth-Token": token}
    path = f"/identity/v2.0/tokens/{token}"
    shown: Any = client.get(path, headers=headers)
    assert (200, login) == (shown.status_code, shown.json)
    for tenant, status in (("demo", 200), ("alt", 401)):
        belonging = client.get(f"{path}?belongsTo={tenant}", headers=headers)
        assert status == belonging.status_code
    head: Any = client.head(path, headers=headers)
    assert (200, b"") == (head.status_code, head.data)
    tenants: Any = client.get("/v2.0/tenants", headers=headers)
    assert {"tenants": [DEMO], "tenants_links": []} == tenants.json
    assert 204 == client.delete(path, headers=headers).status_code
    for method in ("GET", "DELETE"):
        gone: Any = client.open(path, method=method, headers=headers)
        assert (401, REFUSED) == (gone.status_code, gone.json)
    other: Any = client.get(path, headers={"X-Auth-Token": "demo"})
    assert (404, NO_TOKEN) == (other.status_code, other.json)
    assert {token, "demo"} == {call.headers["x-auth-token"] for call in v3_keystone.seen}


@pytest.mark.parametrize("path", ["/v2.0/tenants", "/identity/v2.0/tokens/demo"])
@pytest.mark.parametrize("token", ["", "two words", "made-up"])
def test_a_missing_or_invalid_token_returns_401(front: Front, path: str, token: str) -> None:
    headers = {"X-Auth-Token": token} if token else {}
    answer: Any = front().get(path, headers=headers)
    assert (401, REFUSED) == (answer.status_code, answer.json)
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


PROJECTS = {
    "projects": [
        {"id": "1", "name": "one", "domain_id": "default", "enabled": True, "description": "text"},
        {"id": "2", "name": "two", "domain_id": "default", "enabled": False, "description": ""},
        {"id": "3", "name": "three", "domain_id": "other", "enabled": True, "description": ""},
        {"id": "4", "name": "four", "domain_id": "default", "is_domain": True},
        {"id": "5", "name": "five", "domain_id": "default"},
    ]
}
LISTED = [
    {"id": "1", "name": "one", "enabled": True, "description": "text"},
    {"id": "2", "name": "two", "enabled": False, "description": None},
    {"id": "5", "name": "five", "enabled": True, "description": None},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", LISTED),
        ("?limit=1", LISTED[:1]),
        ("?marker=1&limit=1", LISTED[1:2]),
        ("?marker=5", []),
        ("?limit=0", []),
        ("?marker=3", "Marker could not be found"),
        ("?limit=-1", "Invalid limit value"),
        ("?limit=x", "Invalid limit value"),
    ],
)
def test_tenants_are_those_of_the_domain(
    front: Front, v3_keystone: EmbeddedKeystone, query: str, expected: Any
) -> None:
    v3_keystone.answers.append(says(200, PROJECTS))
    answer: Any = front().get(f"/v2.0/tenants{query}", headers={"X-Auth-Token": "demo"})
    if isinstance(expected, str):
        assert (400, error(400, "Bad Request", expected)) == (answer.status_code, answer.json)
    else:
        assert {"tenants": expected, "tenants_links": []} == answer.json


def test_the_documents_need_no_keystone(front: Front, v3_keystone: EmbeddedKeystone) -> None:
    client = front()
    versions: Any = client.get("/identity")
    assert (300, ["v2.0"]) == (
        versions.status_code,
        [version["id"] for version in versions.json["versions"]["values"]],
    )
    for root in ROOTS:
        version: Any = client.get(f"{root}/v2.0")
        assert (200, "v2.0") == (version.status_code, version.json["version"]["id"])
        extensions: Any = client.get(f"{root}/v2.0/extensions")
        assert ["RAX-KSKEY"] == [ext["alias"] for ext in extensions.json["extensions"]["values"]]
    assert [] == v3_keystone.seen


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/v2.0/users", 404, "Not Found"),
        ("GET", "/identity/v3", 404, "Not Found"),
        ("GET", "/identity/v2.0/tokens", 405, "Method Not Allowed"),
        ("PUT", "/v2.0/tenants", 405, "Method Not Allowed"),
        ("GET", "/v2.0/tokens/a%2Fb", 404, "Not Found"),
    ],
)
def test_other_paths_and_methods_are_refused_in_keystones_form(
    front: Front, method: str, path: str, status: int, title: str
) -> None:
    answer: Any = front().open(path, method=method, headers={"X-Auth-Token": "demo"})
    assert (status, error(status, title, ANY)) == (answer.status_code, answer.json)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The body is not valid JSON: "),
        (b'{"auth": {}}', f"{FIELD} 'auth': one of passwordCredentials, token, RAX-KSKEY"),
        (b'{"auth": {"token": {"id": 12345}}}', f"{FIELD} 'auth/token/id': Not a valid string."),
    ],
)
def test_an_invalid_body_never_reaches_keystone(
    front: Front, v3_keystone: EmbeddedKeystone, body: bytes, message: str
) -> None:
    answer: Any = front().post("/v2.0/tokens", data=body)
    assert 400 == answer.status_code
    assert answer.json["error"]["message"].startswith(message)
    large: Any = front().post("/v2.0/tokens", data=b" " * 114689)
    assert error(413, "Request Entity Too Large", "Request is too large.") == large.json
    assert [] == v3_keystone.seen


def test_image_calls_answer_as_before(front: Front) -> None:
    client: FlaskClient = front()
    unknown: Any = client.get("/nowhere")
    assert {"itemNotFound": {"code": 404, "message": "The resource could not be found."}} == (
        unknown.json
    )
    listed = client.get("/v2/demo/images", headers={"X-Auth-Token": "demo"})
    assert 200 == listed.status_code
