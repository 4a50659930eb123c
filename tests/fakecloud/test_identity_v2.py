"""Identity v2.0 of the embedded cloud: its answers, whole, and every refusal."""

import re
from typing import Any
from unittest.mock import ANY

import pytest
from flask.testing import FlaskClient
from keystoneauth1 import access
from support.identity_answers import (
    API_KEY,
    CHALLENGE,
    CREDENTIALS,
    FIELD,
    NO_TOKEN,
    REQUIRED,
    ROOTS,
    UNAUTHORIZED,
    catalog_v2,
    login_v2,
    refused,
)

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import Project, Seed, User
from nova_image_shim.settings import Settings


def access_of(**changes: Any) -> dict[str, Any]:
    """Return what a v2.0 login of demo is answered with."""
    usual = {
        "token": {
            "id": ANY,
            "issued_at": ANY,
            "expires": ANY,
            "audit_ids": [ANY],
            "tenant": {"id": "demo", "name": "demo", "enabled": True, "description": None},
        },
        "user": {
            "id": "demo",
            "name": "demo",
            "username": "demo",
            "roles": [{"name": "member"}],
            "roles_links": [],
        },
        "metadata": {"is_admin": 0, "roles": [ANY]},
        "serviceCatalog": catalog_v2("RegionOne"),
    }
    return {"access": usual | changes}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("tenant", [{"tenantId": "demo"}, {"tenantName": "demo"}])
@pytest.mark.parametrize(
    "credentials",
    [
        {"passwordCredentials": CREDENTIALS},
        {"passwordCredentials": {"userId": "demo", "password": "demo"}},
        {"apiAccessKeyCredentials": {"accessKey": "demo", "secretKey": "demo"}},
    ],
)
def test_a_v2_login_by_password(
    cloud_client: FlaskClient, root: str, tenant: dict[str, str], credentials: Any
) -> None:
    answer = login_v2(cloud_client, credentials | tenant, root)
    assert (200, access_of()) == (answer.status_code, answer.json)
    expires = answer.json["access"]["token"]["expires"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", expires)
    token = access.create(body=answer.json)
    assert (False, "demo") == (token.will_expire_soon(), token.project_id)


@pytest.mark.parametrize("tenant", [{}, {"tenantId": "", "tenantName": None}])
def test_a_v2_login_without_a_tenant_then_with(
    cloud_client: FlaskClient, tenant: dict[str, Any]
) -> None:
    first = login_v2(cloud_client, {"passwordCredentials": CREDENTIALS, **tenant}).json["access"]
    assert [] == first["serviceCatalog"] == first["user"]["roles"]
    assert "tenant" not in first["token"]
    token = first["token"]["id"]
    tenants: Any = cloud_client.get("/v2.0/tenants", headers={"X-Auth-Token": token})
    demo = {"id": "demo", "name": "demo", "enabled": True, "description": None}
    assert {"tenants": [demo], "tenants_links": []} == tenants.json
    second = login_v2(cloud_client, {"token": {"id": token}, "tenantId": "demo"}).json
    assert access_of(token={**access_of()["access"]["token"], "audit_ids": [ANY, ANY]}) == second
    assert first["token"]["audit_ids"] == second["access"]["token"]["audit_ids"][1:]


@pytest.mark.parametrize("tenant", [{}, {"tenantName": "demo"}])
def test_an_api_key_login_uses_rackspaces_dialect(
    cloud_client: FlaskClient, tenant: dict[str, str]
) -> None:
    credentials = {API_KEY: {"username": "demo", "apiKey": "demo"}}
    answer = login_v2(cloud_client, {**credentials, **tenant})
    regions = ("RegionOne", "DFW", "ORD", "IAD", "LON", "SYD", "HKG")
    names = {"nova": "cloudServersOpenStack", "glance": "cloudImages"}
    user = {**access_of()["access"]["user"], "RAX-AUTH:defaultRegion": "RegionOne"}
    expected = access_of(user=user, serviceCatalog=catalog_v2(*regions, names=names))
    assert (200, expected) == (answer.status_code, answer.json)


def test_an_api_key_is_for_the_first_project_and_is_not_the_password() -> None:
    projects = (Project("1", "one"), Project("2", "two"))
    user = User("u", "ann", "secret", "key", {"2": ("a",), "1": ("a",)})
    client = create_cloud_app(
        Settings(), FakeCloud(Seed(projects=projects, users=(user,)))
    ).test_client()
    login = login_v2(client, {API_KEY: {"username": "ann", "apiKey": "key"}})
    assert "two" == login.json["access"]["token"]["tenant"]["name"]
    wrong = login_v2(client, {API_KEY: {"username": "ann", "apiKey": "secret"}})
    assert (401, UNAUTHORIZED) == (wrong.status_code, wrong.json)


@pytest.mark.parametrize(
    "auth",
    [
        {"passwordCredentials": {**CREDENTIALS, "password": "x"}},
        {"passwordCredentials": {**CREDENTIALS, "username": "nobody"}},
        {"passwordCredentials": CREDENTIALS, "tenantName": "alt"},
        {"passwordCredentials": CREDENTIALS, "tenantId": "nowhere"},
        {API_KEY: {"username": "demo", "apiKey": "x"}},
        {API_KEY: {"username": "demo", "apiKey": "demo"}, "tenantName": "alt"},
        {"token": {"id": "made-up"}},
        {"token": {"id": "alt"}, "tenantName": "demo"},
    ],
)
def test_a_wrong_v2_login_returns_401(cloud_client: FlaskClient, auth: Any) -> None:
    answer = login_v2(cloud_client, auth)
    assert (401, UNAUTHORIZED) == (answer.status_code, answer.json)
    assert CHALLENGE == answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({}, f"{FIELD} 'auth': one of passwordCredentials, token, RAX-KSKEY:apiKeyCredentials and"),
        ({"tenantName": "demo"}, f"{FIELD} 'auth': one of passwordCredentials, token, "),
        *(
            ({"passwordCredentials": given}, f"{FIELD} 'auth/passwordCredentials{message}")
            for given, message in (
                ({"username": "demo"}, f"/password': {REQUIRED}"),
                ({"password": "12345"}, "': username or userId must be present."),
                ({"username": "demo", "password": 12345}, "/password': Not a valid string."),
            )
        ),
        ({API_KEY: {"username": "demo"}}, f"{FIELD} 'auth/{API_KEY}/apiKey': {REQUIRED}"),
        ({API_KEY: []}, f"{FIELD} 'auth/{API_KEY}': Invalid input type."),
        ({"token": {}}, f"{FIELD} 'auth/token/id': {REQUIRED}"),
        ({"token": {"id": "demo"}, "tenantId": 1}, f"{FIELD} 'auth/tenantId': Not a valid string."),
    ],
)
def test_an_invalid_v2_body_returns_400_with_the_field(
    cloud_client: FlaskClient, auth: Any, message: str
) -> None:
    refused(login_v2(cloud_client, auth), message)


def test_a_token_is_shown_and_revoked_by_v2(cloud_client: FlaskClient) -> None:
    login = login_v2(cloud_client, {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}).json
    path = f"/v2.0/tokens/{login['access']['token']['id']}"
    headers = {"X-Auth-Token": "admin"}
    shown: Any = cloud_client.get(path, headers=headers)
    assert (200, login) == (shown.status_code, shown.json)
    assert 200 == cloud_client.head(path, headers=headers).status_code
    assert 204 == cloud_client.delete(path, headers=headers).status_code
    for method in ("GET", "DELETE"):
        answer: Any = cloud_client.open(path, method=method, headers=headers)
        assert (404, NO_TOKEN) == (answer.status_code, answer.json)
