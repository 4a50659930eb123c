"""Identity v3 of the embedded cloud: its answers, whole, and every refusal."""

import re
from typing import Any
from unittest.mock import ANY

import pytest
from flask.testing import FlaskClient
from keystoneauth1 import access
from support.identity_answers import (
    BASE,
    CHALLENGE,
    DEMO,
    FIELD,
    NO_TOKEN,
    REQUIRED,
    ROOTS,
    UNAUTHORIZED,
    by_token,
    catalog_v3,
    error,
    login_v3,
    password,
    refused,
)

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import Project, Seed, User
from nova_image_shim.settings import Settings

OWNER = {"name": "demo", "domain": {"name": "default"}}
DOMAIN = {"id": "default", "name": "Default"}


def credential(secret: str = "demo", **named: Any) -> dict[str, Any]:
    method = "application_credential"
    return {"methods": [method], method: {"secret": secret, **named}}


def user_of(**user: Any) -> Any:
    return {"identity": {"methods": ["password"], "password": {"user": user}}}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    "scope",
    [
        {"project": {"id": "demo"}},
        {"project": {"name": "demo", "domain": {"id": "default"}}},
        {"project": {"name": "demo", "domain": {"name": "Default"}}},
    ],
)
@pytest.mark.parametrize(
    "user",
    [
        {"id": "demo"},
        {"name": "demo", "domain": {"id": "default"}},
        {"name": "demo", "domain": {"name": "Default"}},
    ],
)
def test_a_v3_login_by_password(
    cloud_client: FlaskClient, root: str, scope: Any, user: dict[str, Any]
) -> None:
    answer = login_v3(cloud_client, user_of(**user, password="demo")["identity"], scope, root)
    named = {"id": "demo", "name": "demo", "domain": {"id": "default", "name": "Default"}}
    expected = {
        "token": {
            "methods": ["password"],
            "user": {**named, "password_expires_at": None},
            "audit_ids": [ANY],
            "issued_at": ANY,
            "expires_at": ANY,
            "project": named,
            "roles": [{"id": ANY, "name": "member"}],
            "catalog": catalog_v3(),
        }
    }
    assert (201, expected) == (answer.status_code, answer.json)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Subject-Token"])
    assert "X-Auth-Token" in answer.headers["Vary"]
    for time in ("issued_at", "expires_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", answer.json["token"][time])
    token = access.create(body=answer.json, auth_token=answer.headers["X-Subject-Token"])
    known = token.will_expire_soon(), token.project_id, token.role_names
    assert (False, "demo", ["member"]) == known


def entries(catalog: list[dict[str, Any]]) -> dict[str, int]:
    """Return the number of endpoints by the type of the service."""
    return {service["type"]: len(service["endpoints"]) for service in catalog}


WITHOUT_PROJECT = {"compute": 0, "identity": 3, "image": 3, "computev21": 0}


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ({"system": {"all": True}}, {"system": {"all": True}}),
        ({"domain": {"id": "default"}}, {"domain": DOMAIN}),
        ({"domain": {"name": "Default"}}, {"domain": DOMAIN}),
        ({"domain": {"name": "default"}}, {"domain": DOMAIN}),
    ],
)
def test_an_admin_can_log_in_with_another_scope_than_a_project(
    cloud_client: FlaskClient, scope: dict[str, Any], shown: dict[str, Any]
) -> None:
    answer = login_v3(cloud_client, password("admin", "admin"), scope)
    token = answer.json["token"]
    assert (201, [{"id": ANY, "name": "admin"}]) == (answer.status_code, token["roles"])
    assert shown == {name: token[name] for name in ("project", "domain", "system") if name in token}
    assert WITHOUT_PROJECT == entries(token["catalog"])
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    mismatch = "URL's project_id 'admin' doesn't match Context's project_id 'None'"
    refusal: Any = cloud_client.get("/v2/admin/images", headers=headers)
    assert f"Malformed request URL: {mismatch}" == refusal.json["badRequest"]["message"]
    for path in ("/v3/auth/tokens", "/identity/v3/auth/tokens/"):
        again: Any = cloud_client.get(
            path, headers=headers | {"X-Subject-Token": headers["X-Auth-Token"]}
        )
        assert answer.json == again.json


@pytest.mark.parametrize(
    "named",
    [{"id": "demo"}, {"name": "demo", "user": OWNER}, {"name": "demo", "user": {"id": "demo"}}],
)
def test_a_login_by_application_credential(cloud_client: FlaskClient, named: Any) -> None:
    answer = login_v3(cloud_client, credential(**named))
    token = answer.json["token"]
    assert (201, ["application_credential"]) == (answer.status_code, token["methods"])
    own = {"id": "demo", "name": "demo", "restricted": True}
    assert (own, "demo") == (token["application_credential"], token["project"]["id"])
    assert catalog_v3() == token["catalog"]
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    assert 200 == cloud_client.get("/v2/demo/images", headers=headers).status_code


FORBIDDEN = "You are not authorized to perform the requested action: Using a "


@pytest.mark.parametrize(
    ("first", "scope", "message"),
    [
        ((credential(id="demo"),), DEMO, f"{FORBIDDEN}delegated token to create another token is"),
        ((credential(id="demo"),), None, f"{FORBIDDEN}delegated token to create another token is"),
        ((password("admin", "admin"), {"system": {"all": True}}), DEMO, f"{FORBIDDEN}system-scope"),
    ],
)
def test_a_limited_token_cannot_be_exchanged(
    cloud_client: FlaskClient, first: Any, scope: Any, message: str
) -> None:
    token = login_v3(cloud_client, *first).headers["X-Subject-Token"]
    answer = login_v3(cloud_client, by_token(token), scope)
    assert (403, "Forbidden") == (answer.status_code, answer.json["error"]["title"])
    assert answer.json["error"]["message"].startswith(message)


def test_other_refusals_of_an_application_credential(cloud_client: FlaskClient) -> None:
    answer = login_v3(cloud_client, credential(id="nowhere"))
    message = "Could not find Application Credential: nowhere."
    assert error(404, "Not Found", message) == answer.json
    answer = login_v3(cloud_client, credential(id="demo"), DEMO)
    message = "Error authenticating with application credential: Application credentials cannot "
    assert error(401, "Unauthorized", f"{message}request a scope.") == answer.json
    cloud = FakeCloud(Seed(users=(User("idle", "idle", "idle", "idle", {"demo": ()}),)))
    client = create_cloud_app(Settings(), cloud).test_client()
    assert UNAUTHORIZED == login_v3(client, credential("idle", id="idle")).json


@pytest.mark.parametrize(
    "scope",
    [{}, {"scope": None}, {"scope": "unscoped"}, {"scope": {"unscoped": {}}}, {"scope": {}}],
)
def test_a_v3_login_without_a_scope_then_with(cloud_client: FlaskClient, scope: Any) -> None:
    body = {"auth": {"identity": password(), **scope}}
    first: Any = cloud_client.post("/v3/auth/tokens", json=body)
    assert {"methods", "user", "audit_ids", "issued_at", "expires_at"} == set(first.json["token"])
    second = login_v3(cloud_client, by_token(first.headers["X-Subject-Token"]), DEMO)
    assert (201, catalog_v3()) == (second.status_code, second.json["token"]["catalog"])
    assert ["password", "token"] == second.json["token"]["methods"]
    assert first.json["token"]["expires_at"] == second.json["token"]["expires_at"]
    assert first.json["token"]["audit_ids"] == second.json["token"]["audit_ids"][1:]


def test_both_methods_must_name_the_same_user(cloud_client: FlaskClient) -> None:
    both = password() | {"methods": ["password", "token"], "token": {"id": "demo"}}
    assert 201 == login_v3(cloud_client, both, DEMO).status_code
    assert 401 == login_v3(cloud_client, both | {"token": {"id": "alt"}}, DEMO).status_code


def test_the_catalog_can_be_left_out(cloud_client: FlaskClient) -> None:
    body = {"auth": {"identity": password(), "scope": DEMO}}
    answer: Any = cloud_client.post("/v3/auth/tokens?nocatalog", json=body)
    assert (201, False) == (answer.status_code, "catalog" in answer.json["token"])


@pytest.mark.parametrize(
    ("identity", "scope"),
    [
        (password(secret="Demo"), DEMO),
        (password(secret=""), DEMO),
        (password(name="nobody"), DEMO),
        (password(name="Demo"), DEMO),
        (password(domain={"id": "nowhere"}), DEMO),
        (password(), {"project": {"id": "alt"}}),
        (password(), {"project": {"id": "nowhere"}}),
        (password(), {"project": {"name": "demo", "domain": {"id": "nowhere"}}}),
        (password(), {"domain": {"id": "default"}}),
        (password(), {"system": {"all": True}}),
        (by_token("made-up"), DEMO),
        (by_token(""), None),
        (by_token("alt"), DEMO),
        ({"methods": ["totp"]}, None),
        (credential(id="demo", secret="wrong"), None),
        (credential(name="other", user=OWNER), None),
        (password(), {"domain": {"id": "nowhere"}}),
    ],
)
def test_a_wrong_v3_login_returns_401(cloud_client: FlaskClient, identity: Any, scope: Any) -> None:
    answer = login_v3(cloud_client, identity, scope)
    assert (401, UNAUTHORIZED) == (answer.status_code, answer.json)
    assert CHALLENGE == answer.headers["WWW-Authenticate"]
    assert "X-Subject-Token" not in answer.headers


ONE_OF_TWO = "id or name must be present."


USER = "auth/identity/password/user"
CREDENTIAL = "auth/identity/application_credential"
BAD_V3 = [
    ({}, f"{FIELD} 'auth/identity': {REQUIRED}"),
    ({"identity": {}}, f"{FIELD} 'auth/identity/methods': {REQUIRED}"),
    ({"identity": {"methods": []}}, f"{FIELD} 'auth/identity/methods': Shorter than minimum"),
    ({"identity": {"methods": "password"}}, f"{FIELD} 'auth/identity/methods': Not a valid list."),
    ({"identity": {"methods": [1]}}, f"{FIELD} 'auth/identity/methods/0': Not a valid string."),
    ({"identity": {"methods": ["password"]}}, f"{FIELD} 'auth/identity/password': {REQUIRED}"),
    ({"identity": {"methods": ["token"]}}, f"{FIELD} 'auth/identity/token': {REQUIRED}"),
    (
        {"identity": {"methods": ["token"], "token": {}}},
        f"{FIELD} 'auth/identity/token/id': Missin",
    ),
    (user_of(id="demo"), f"{FIELD} '{USER}/password': {REQUIRED}"),
    (user_of(id="demo", password=12345), f"{FIELD} '{USER}/password': Not a valid string."),
    (user_of(password="12345"), f"{FIELD} '{USER}': {ONE_OF_TWO}"),
    (user_of(name="demo", password="12345"), f"{FIELD} '{USER}/domain': {REQUIRED}"),
    (user_of(name="demo", domain={}, password="x"), f"{FIELD} '{USER}/domain': {ONE_OF_TWO}"),
    ({"identity": credential(name="x")}, f"{FIELD} '{CREDENTIAL}/user': {REQUIRED}"),
    ({"identity": credential()}, f"{FIELD} '{CREDENTIAL}': {ONE_OF_TWO}"),
    ({"identity": {"methods": ["application_credential"]}}, f"{FIELD} '{CREDENTIAL}': {REQUIRED}"),
    (
        {"identity": by_token("x"), "scope": {"domain": {"id": "default"}, "system": {}}},
        f"{FIELD} 'auth/scope': Only one of project, domain and system may be present.",
    ),
    ({"identity": by_token("demo"), "scope": "all"}, f"{FIELD} 'auth/scope': Invalid input type."),
    ({"identity": by_token("x"), "scope": {"project": {}}}, f"{FIELD} 'auth/scope/project': id or"),
]


@pytest.mark.parametrize(("auth", "message"), BAD_V3)
def test_an_invalid_v3_body_returns_400_with_the_field(
    cloud_client: FlaskClient, auth: Any, message: str
) -> None:
    refused(cloud_client.post("/v3/auth/tokens", json={"auth": auth}), message)


@pytest.mark.parametrize("root", ROOTS)
def test_a_token_is_shown_checked_and_revoked_by_v3(cloud_client: FlaskClient, root: str) -> None:
    login = login_v3(cloud_client, password(), DEMO)
    headers = {"X-Auth-Token": "admin", "X-Subject-Token": login.headers["X-Subject-Token"]}
    path = f"{root}/v3/auth/tokens"
    shown: Any = cloud_client.get(path, headers=headers)
    assert (200, login.json) == (shown.status_code, shown.json)
    assert headers["X-Subject-Token"] == shown.headers["X-Subject-Token"]
    checked = cloud_client.head(path, headers=headers)
    assert (200, b"") == (checked.status_code, checked.data)
    gone = cloud_client.delete(path, headers=headers)
    assert (204, b"") == (gone.status_code, gone.data)
    for method in ("GET", "DELETE"):
        answer: Any = cloud_client.open(path, method=method, headers=headers)
        assert (404, NO_TOKEN) == (answer.status_code, answer.json)
    assert 401 == cloud_client.get(path, headers={**headers, "X-Auth-Token": "x"}).status_code


def test_the_catalog_is_shown(cloud_client: FlaskClient) -> None:
    answer: Any = cloud_client.get("/v3/auth/catalog", headers={"X-Auth-Token": "demo"})
    links = {"self": f"{BASE}/identity/v3/auth/catalog"}
    assert {"catalog": catalog_v3(), "links": links} == answer.json
    unscoped = login_v3(cloud_client, password()).headers["X-Subject-Token"]
    answer = cloud_client.get("/v3/auth/catalog", headers={"X-Auth-Token": unscoped})
    message = "A project-scoped token is required to produce a service catalog."
    assert error(403, "Forbidden", message) == answer.json


def test_ids_of_the_catalog_stay_the_same(cloud_client: FlaskClient) -> None:
    first, second = (login_v3(cloud_client, password(), DEMO).json["token"] for _ in range(2))
    assert (first["catalog"], first["roles"]) == (second["catalog"], second["roles"])
    ids = [item["id"] for entry in first["catalog"] for item in (entry, *entry["endpoints"])]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["auth/projects", "users/demo/projects"])
def test_a_users_projects_are_listed(path: str) -> None:
    projects = (Project("1", "one"), Project("2", "two"), Project("3", "three"))
    user = User("demo", "demo", "demo", "demo", {"2": ("a",), "1": ("b",), "3": ()})
    cloud = FakeCloud(Seed(projects=projects, users=(user,)))
    client = create_cloud_app(Settings(), cloud).test_client()
    token = login_v3(client, password()).headers["X-Subject-Token"]
    answer: Any = client.get(f"/identity/v3/{path}", headers={"X-Auth-Token": token})
    expected = [
        {
            "id": id_,
            "name": name,
            "domain_id": "default",
            "parent_id": "default",
            "description": "",
            "enabled": True,
            "is_domain": False,
            "tags": [],
            "options": {},
            "links": {"self": f"{BASE}/identity/v3/projects/{id_}"},
        }
        for id_, name in (("2", "two"), ("1", "one"))
    ]
    links = {"self": f"{BASE}/identity/v3/{path}", "next": None, "previous": None}
    assert {"projects": expected, "links": links} == answer.json


def test_the_scopes_of_an_admin_are_listed(cloud_client: FlaskClient) -> None:
    for name, system in (("demo", []), ("admin", [{"all": True}])):
        answer: Any = cloud_client.get("/v3/auth/system", headers={"X-Auth-Token": name})
        own = {"self": f"{BASE}/identity/v3/auth/system"}
        assert (200, {"system": system, "links": own}) == (answer.status_code, answer.json)
    answer = cloud_client.get("/v3/auth/domains", headers={"X-Auth-Token": "admin"})
    domain = {
        **DOMAIN,
        "description": "",
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": f"{BASE}/identity/v3/domains/default"},
    }
    links = {"self": f"{BASE}/identity/v3/auth/domains", "next": None, "previous": None}
    assert {"domains": [domain], "links": links} == answer.json


def test_an_unknown_user_returns_404_and_domains_are_empty(cloud_client: FlaskClient) -> None:
    headers = {"X-Auth-Token": "demo"}
    answer: Any = cloud_client.get("/v3/users/nobody/projects", headers=headers)
    assert error(404, "Not Found", "Could not find user: nobody.") == answer.json
    answer = cloud_client.get("/v3/auth/domains", headers=headers)
    links = {"self": f"{BASE}/identity/v3/auth/domains", "next": None, "previous": None}
    assert {"domains": [], "links": links} == answer.json


@pytest.mark.parametrize(("path", "action"), [("", "list_projects"), ("/demo", "get_project")])
def test_projects_are_not_shown(cloud_client: FlaskClient, path: str, action: str) -> None:
    answer: Any = cloud_client.get(f"/v3/projects{path}", headers={"X-Auth-Token": "demo"})
    text = f"You are not authorized to perform the requested action: identity:{action}."
    assert (403, text) == (answer.status_code, answer.json["error"]["message"])
