"""The embedded identity whatever its version: documents, paths, addresses, the log."""

import json
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.identity_answers import (
    BASE,
    CHALLENGE,
    CREDENTIALS,
    DEMO,
    FIELD,
    REQUIRED,
    ROOTS,
    UNAUTHORIZED,
    catalog_v3,
    error,
    login_v3,
    password,
    refused,
)
from webob import exc

from nova_image_shim.adapters.address import Address
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.document import Document
from nova_image_shim.fakecloud.seed import to_seed
from nova_image_shim.settings import Settings


def document(version: str, number: str, updated: str, *links: dict[str, str]) -> dict[str, Any]:
    """Return what describes a version."""
    media_type = f"application/vnd.openstack.identity-{version}+json"
    return {
        "id": number,
        "status": "stable",
        "updated": f"{updated}T00:00:00Z",
        "links": [{"rel": "self", "href": f"{BASE}/identity/{version}/"}, *links],
        "media-types": [{"base": "application/json", "type": media_type}],
    }


MANUAL = "https://developer.openstack.org/api-ref/identity/v2/content"
DESCRIBED = {"rel": "describedby", "type": "text/html", "href": MANUAL}
V3 = document("v3", "v3.14", "2020-04-07")
V2 = document("v2.0", "v2.0", "2014-04-17", DESCRIBED)
NO_PATH = error(404, "Not Found", "The resource could not be found.")


@pytest.mark.parametrize("path", ["/identity", "/identity/", "/identity//"])
def test_both_versions_are_listed(cloud_client: FlaskClient, path: str) -> None:
    answer: Any = cloud_client.get(path)
    assert (300, f"{BASE}/identity/v3/") == (answer.status_code, answer.headers["Location"])
    assert {"versions": {"values": [V3, V2]}} == answer.json


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(("version", "document"), [("v3", V3), ("v2.0", V2)])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_version_is_shown(
    cloud_client: FlaskClient, root: str, version: str, document: Any, slash: str
) -> None:
    answer: Any = cloud_client.get(f"{root}/{version}{slash}")
    assert (200, {"version": document}) == (answer.status_code, answer.json)


ANY_BODY = [
    (b"", "The body is not valid JSON: "),
    (b"{", "The body is not valid JSON: "),
    (b"\xff", "The body is not valid JSON: "),
    (b"[" * 5000, "The body is not valid JSON: "),
    (b"[]", f"{FIELD} 'the body': Invalid input type."),
    (b"null", f"{FIELD} 'the body': Invalid input type."),
    (b"{}", f"{FIELD} 'auth': {REQUIRED}"),
    (b'{"auth": null}', f"{FIELD} 'auth': Field may not be null."),
    (b'{"auth": []}', f"{FIELD} 'auth': Invalid input type."),
]


@pytest.mark.parametrize(
    "path", ["/identity", "/identity/v3", "/identity/v2.0", "/v3", "/v2.0", "/identity/"]
)
def test_a_login_at_a_version_document_uses_the_version_of_its_body(
    cloud_client: FlaskClient, path: str
) -> None:
    v3: Any = cloud_client.post(path, json={"auth": {"identity": password(), "scope": DEMO}})
    assert (201, catalog_v3()) == (v3.status_code, v3.json["token"]["catalog"])
    v2: Any = cloud_client.post(path, json={"auth": {"passwordCredentials": CREDENTIALS}})
    assert (200, "demo") == (v2.status_code, v2.json["access"]["user"]["id"])
    refused(cloud_client.post(path, data=b"{"), "The body is not valid JSON: ")
    refused(cloud_client.post(path, json=[]), f"{FIELD} 'the body': Invalid input type.")
    wrong: Any = cloud_client.post(path, json={"auth": {"token": {"id": "x"}}})
    assert (401, UNAUTHORIZED) == (wrong.status_code, wrong.json)


@pytest.mark.parametrize("path", ["/v3/auth/tokens", "/v2.0/tokens"])
@pytest.mark.parametrize(("body", "message"), ANY_BODY)
def test_an_invalid_body_returns_400(
    cloud_client: FlaskClient, path: str, body: bytes, message: str
) -> None:
    refused(cloud_client.post(path, data=body, content_type="application/json"), message)


def test_a_large_body_returns_413(cloud_client: FlaskClient) -> None:
    answer: Any = cloud_client.post("/v3/auth/tokens", data=b" " * 114689)
    assert error(413, "Request Entity Too Large", "Request is too large.") == answer.json


@pytest.mark.parametrize(
    "path",
    [
        *("/v3/auth/tokens", "/v3/auth/catalog", "/v3/auth/projects", "/v3/auth/domains"),
        *("/v3/users/demo/projects", "/v2.0/tenants", "/v2.0/tokens/demo"),
        *("/v2/demo/images", "/v2.1/images", "/v2/demo/nowhere"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": "made-up"}])
def test_a_missing_or_invalid_token_returns_401(
    cloud_client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    method, _, path = path.rpartition(" ")
    answer: Any = cloud_client.open(path, method=method or "GET", headers=headers)
    assert (401, UNAUTHORIZED) == (answer.status_code, answer.json)
    assert CHALLENGE == answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["images", "images/x", "schemas/image", "x/y"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": "made-up"}])
def test_the_image_api_answers_401_as_keystones_middleware(
    cloud_client: FlaskClient, method: str, path: str, headers: dict[str, str]
) -> None:
    accept = {"Accept": "application/json"}
    answer: Any = cloud_client.open(f"/image/v2/{path}", method=method, headers=headers | accept)
    text = f"{exc.HTTPUnauthorized.explanation}<br /><br />\n\n\n"
    body = {"message": text, "code": "401 Unauthorized", "title": "Unauthorized"}
    assert (401, body) == (answer.status_code, answer.json)
    assert CHALLENGE == answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "path",
    [
        *("/identity/x", "/identity/v4", "/v3/auth", "/v3/users", "/v2.0/x"),
        *("/identity/v2.0/users", "/v3/auth/tokens/x", "/identity/v3/groups"),
    ],
)
def test_an_unknown_path_returns_keystones_404(cloud_client: FlaskClient, path: str) -> None:
    answer: Any = cloud_client.get(path, headers={"X-Auth-Token": "demo"})
    assert (404, NO_PATH) == (answer.status_code, answer.json)


@pytest.mark.parametrize("slashes", ["/", "//"])
@pytest.mark.parametrize("root", ROOTS)
def test_a_final_slash_is_stripped(cloud_client: FlaskClient, root: str, slashes: str) -> None:
    client = partial(cloud_client.open, headers={"X-Auth-Token": "demo", "X-Subject-Token": "alt"})
    v3 = {"auth": {"identity": password(), "scope": DEMO}}
    v2 = {"auth": {"passwordCredentials": CREDENTIALS}}
    assert 201 == client(f"{root}/v3/auth/tokens{slashes}", method="POST", json=v3).status_code
    assert 200 == client(f"{root}/v2.0/tokens{slashes}", method="POST", json=v2).status_code
    for path in (
        *("v3/auth/tokens", "v3/auth/catalog", "v3/auth/projects", "v3/auth/domains"),
        *("v3/auth/system", "v3/users/demo/projects", "v2.0/tokens/alt", "v2.0/tenants"),
    ):
        assert 200 == client(f"{root}/{path}{slashes}").status_code, path
    for path in ("v3/auth/tokens", "v2.0/tokens/alt"):
        assert 204 == client(f"{root}/{path}{slashes}", method="DELETE").status_code, path


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v3/auth/tokens", {"DELETE", "GET", "HEAD", "POST"}),
        ("PUT", "/v3/auth/tokens/", {"DELETE", "GET", "HEAD", "POST"}),
        ("GET", "/v2.0/tokens", {"POST"}),
        ("PUT", "/identity", {"GET", "HEAD", "POST"}),
        ("PATCH", "/identity/v3/auth/projects", {"GET", "HEAD"}),
    ],
)
def test_another_method_returns_keystones_405(
    cloud_client: FlaskClient, method: str, path: str, allow: set[str]
) -> None:
    answer: Any = cloud_client.open(path, method=method)
    message = "The method is not allowed for the requested URL."
    assert error(405, "Method Not Allowed", message) == answer.json
    assert allow == set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    ("settings", "headers", "base"),
    [
        ({}, {"Host": "127.0.0.1:99"}, "http://127.0.0.1:99"),
        (
            {"fake_hosts": ("cloud.example",)},
            {"Host": "cloud.example:99"},
            "http://cloud.example:99",
        ),
        ({"compute_link_prefix": "https://cloud"}, {}, "https://cloud"),
        (
            {"trusted_proxies": 1},
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"},
            "https://a.example",
        ),
    ],
)
def test_addresses_follow_the_requests_own_host(
    fake_cloud: FakeCloud, settings: Any, headers: dict[str, str], base: str
) -> None:
    client = create_cloud_app(Settings(**settings), fake_cloud).test_client()
    body = {"auth": {"identity": password(), "scope": DEMO}}
    login: Any = client.post("/v3/auth/tokens", json=body, headers=headers)
    urls = [entry["endpoints"][0]["url"] for entry in login.json["token"]["catalog"]]
    expected = ["/v2/demo", "/identity/v3", "/image", "/v2.1/demo"]
    assert [f"{base}{path}" for path in expected] == urls
    wrong = client.get("/v2/demo/images", headers=headers)
    assert f'Keystone uri="{base}/identity"' == wrong.headers["WWW-Authenticate"]


OTHER_NAMES = "; SHIM_FAKE_HOSTS allows other names"
PATHS = {
    "/identity": "error",
    "/v2.0/tenants": "error",
    "/v3/auth/tokens": "error",
    "/image": "message",
    "/image/v2/images": "message",
    "/": "forbidden",
    "/v2": "forbidden",
    "/v2/demo/images": "forbidden",
    "/v2.1/limits": "forbidden",
    "/nowhere": "forbidden",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {"Host": "evil.example:8774"}),
        ({"fake_hosts": ("cloud.example",)}, {"Host": "evil.example"}),
        ({"trusted_proxies": 1}, {"Host": "evil.example", "X-Forwarded-Host": "localhost"}),
        ({"bind": Address("0.0.0.0", 8774)}, {"Host": "evil.example"}),
    ],
)
def test_a_foreign_host_is_refused(
    fake_cloud: FakeCloud, settings: Any, headers: dict[str, str], path: str
) -> None:
    client = create_cloud_app(Settings(**settings), fake_cloud).test_client()
    usual = {"X-Auth-Token": "demo", "Accept": "application/json"}
    answer: Any = client.get(path, headers=usual | headers)
    assert 403 == answer.status_code
    assert PATHS[path] in answer.json
    assert "Host evil.example: the cloud answers to " in answer.text
    assert OTHER_NAMES in answer.text


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({}, "127.0.0.1:8774"),
        ({}, "[::1]"),
        ({"bind": Address("0.0.0.0", 8774)}, "shim:8774"),
        ({"bind": Address("0.0.0.0", 8774)}, "192.0.2.7"),
        ({"fake_hosts": ("cloud.example", "b.example")}, "Cloud.Example:80"),
        ({"trusted_proxies": 1}, "localhost"),
        ({"fake_open": True}, "localhost"),
    ],
)
def test_an_own_host_is_answered(fake_cloud: FakeCloud, settings: Any, host: str) -> None:
    client = create_cloud_app(Settings(**settings), fake_cloud).test_client()
    headers = {"Host": host, "X-Auth-Token": "demo", "X-Forwarded-Host": "a.example"}
    for path in ("/v2/demo/images", "/image/v2/images", "/v3/auth/projects", "/_fake/requests"):
        assert 200 == client.get(path, headers=headers).status_code


def test_an_open_cloud_answers_to_any_host(fake_cloud: FakeCloud) -> None:
    client = create_cloud_app(Settings(fake_open=True), fake_cloud).test_client()
    headers = {"Host": "any.example", "X-Auth-Token": "demo"}
    statuses = [client.get(path, headers=headers).status_code for path in PATHS]
    assert 403 not in statuses
    assert 403 == client.get("/_fake/requests", headers=headers).status_code


def test_a_probe_and_a_client_without_a_host_are_answered(cloud_client: FlaskClient) -> None:
    assert 200 == cloud_client.get("/healthcheck", headers={"Host": "evil.example"}).status_code
    nameless = cloud_client.get("/identity", environ_overrides={"HTTP_HOST": None})
    assert 300 == nameless.status_code


@pytest.mark.parametrize(
    ("mounts", "paths"),
    [
        (("v1.1", "v2"), ["compute /v2/demo"]),
        (("v1.1",), ["compute /v1.1/demo"]),
        (("v2.1",), ["compute /v2.1/demo", "computev21 /v2.1/demo"]),
    ],
)
def test_the_catalog_names_the_mounts_that_are_served(
    fake_cloud: FakeCloud, mounts: tuple[str, ...], paths: list[str]
) -> None:
    client = create_cloud_app(Settings(mounts=mounts), fake_cloud).test_client()
    catalog = login_v3(client, password(), DEMO).json["token"]["catalog"]
    found = [
        f"{entry['type']} {entry['endpoints'][0]['url'].removeprefix(BASE)}"
        for entry in catalog
        if entry["type"].startswith("compute")
    ]
    assert paths == found


def test_a_configured_www_authenticate_uri_takes_precedence(fake_cloud: FakeCloud) -> None:
    settings = Settings(backend="memory", www_authenticate_uri="https://keystone.example")
    answer = create_cloud_app(settings, fake_cloud).test_client().get("/v2/demo/images")
    assert 'Keystone uri="https://keystone.example"' == answer.headers["WWW-Authenticate"]


def test_the_log_shows_no_token_and_no_password(
    cloud_client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    token = login_v3(cloud_client, password(), DEMO).headers["X-Subject-Token"]
    login_v3(cloud_client, password(secret="hunter2-wrong"), DEMO)
    for path in (f"/v2.0/tokens/{token}?x=1", f"/identity//v2.0//tokens/{token}", "/v2.0/tenants"):
        cloud_client.get(path, headers={"X-Auth-Token": token})
    cloud_client.get(f"/v2.0/%74okens/{token}/x", headers={"X-Auth-Token": "demo"})
    cloud_client.get(f"/v2.0/tokens/{token}%2Fx", headers={"X-Auth-Token": "demo"})
    encoded = f"%{ord(token[0]):x}{token[1:]}"
    cloud_client.get(f"/v2.0/tokens/{encoded}", headers={"X-Auth-Token": "demo"})
    lines = [record.getMessage() for record in caplog.records]
    assert [] == [line for line in lines if token[1:] in line or "hunter2" in line]
    assert any("/v2.0/tokens/***" in line for line in lines)
    assert "401: wrong password for user 'demo'" in lines


SECRETIVE = {"projects": [{"name": "acme"}], "users": [{"name": "ann", "password": "hunter2"}]}
STANDARD = "these always work: demo, alt, admin"


@pytest.mark.parametrize(
    "path", ["/v2/demo/images", "/v2.1/images", "/image/v2/images", "/identity/v3/auth/catalog"]
)
@pytest.mark.parametrize(
    ("seed", "token", "reason"),
    [
        ({}, "", f"missing; {STANDARD}"),
        ({}, "made-up", f"invalid or expired; {STANDARD}"),
        ({"projects": [{"name": "alt"}]}, "x", "invalid or expired; these always work: alt"),
        (SECRETIVE, "x", "invalid or expired; /_fake/ shows how to log in"),
    ],
)
def test_the_log_names_the_tokens_that_would_work(
    path: str, seed: dict[str, Any], token: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cloud = FakeCloud(to_seed(Document("seed", seed)))
    client = create_cloud_app(Settings(backend="memory"), cloud).test_client()
    answer = client.get(path, headers={"X-Auth-Token": token} if token else {})
    hints = [line for line in caplog.messages if line.startswith("401: ")]
    assert (401, [f"401: the token is {reason}"]) == (answer.status_code, hints)


def test_the_log_says_that_any_token_would_work(
    fake_cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    settings = Settings(backend="memory", fake_open=True)
    create_cloud_app(settings, fake_cloud).test_client().get("/v2/demo/images")
    assert "401: the token is missing; any text works as one" in caplog.messages


def test_the_glance_backend_has_none_of_these_paths(client: FlaskClient) -> None:
    for path in ("/identity", "/v3", "/v2.0", "/image", "/_fake/", "/identity/v3/auth/tokens"):
        answer: Any = client.get(path)
        fault = {"itemNotFound": {"code": 404, "message": "The resource could not be found."}}
        assert (404, fault) == (answer.status_code, json.loads(answer.data))


def test_the_log_shortens_a_long_name(
    cloud_client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    login_v3(cloud_client, password(name="x" * 100_000), DEMO)
    assert 300 > max(len(record.getMessage()) for record in caplog.records)
