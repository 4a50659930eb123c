"""Real client libraries log in to the embedded cloud over HTTP and find their way to the images."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from glanceclient import Client, exc
from keystoneauth1 import discover, identity
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.testing import LegacyCloud
from nova_image_shim.settings import Settings

Login = Callable[[str], BaseAuthPlugin]

COMPUTE: Any = {"service_type": "compute", "region_name": "RegionOne"}
USER: Any = {"username": "demo", "password": "demo"}
DOMAINS: Any = {"user_domain_name": "Default", "project_domain_id": "default"}
PRIVATE = {"golden", "alt-only", "shared-with-demo"}


LOGINS: dict[str, Login] = {
    "v3 password": lambda url: identity.V3Password(
        f"{url}/identity/v3", **USER, **DOMAINS, project_name="demo"
    ),
    "v3 password by ids": lambda url: identity.V3Password(
        f"{url}/v3", user_id="demo", password="demo", project_id="demo"
    ),
    "v2 password": lambda url: identity.V2Password(
        f"{url}/identity/v2.0", **USER, tenant_name="demo"
    ),
    "v2 password by ids": lambda url: identity.V2Password(
        f"{url}/v2.0", user_id="demo", password="demo", tenant_id="demo"
    ),
    "v3 token": lambda url: identity.V3Token(
        f"{url}/identity/v3", "demo", project_name="demo", project_domain_name="Default"
    ),
    "v2 token": lambda url: identity.V2Token(f"{url}/identity/v2.0", "demo", tenant_id="demo"),
    "v3 application credential": lambda url: identity.V3ApplicationCredential(
        f"{url}/identity/v3",
        application_credential_id="demo",
        application_credential_secret="demo",
    ),
    "v3 application credential by name": lambda url: identity.V3ApplicationCredential(
        f"{url}/v3/",
        application_credential_name="demo",
        application_credential_secret="demo",
        username="demo",
        user_domain_name="default",
    ),
    "any version": lambda url: identity.Password(
        f"{url}/identity", **USER, **DOMAINS, project_name="demo"
    ),
    "any version without domains": lambda url: identity.Password(
        f"{url}/identity", **USER, project_name="demo"
    ),
    "any version at v2.0": lambda url: identity.Password(
        f"{url}/identity/v2.0/", **USER, project_name="demo"
    ),
    "any version by token": lambda url: identity.Token(
        f"{url}/identity/v3/", "demo", project_name="demo", project_domain_id="default"
    ),
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_a_login_leads_to_the_images(legacy_cloud: LegacyCloud, login: Login) -> None:
    session = Session(auth=login(legacy_cloud.url))
    assert f"{legacy_cloud.url}/v2/demo" == session.get_endpoint(**COMPUTE)
    answer = session.get("/images/detail?limit=1", endpoint_filter=COMPUTE)
    assert 1 == len(answer.json()["images"])
    everything = session.get("/images", endpoint_filter=COMPUTE).json()["images"]
    names = {image["name"] for image in everything}
    assert {"golden", "shared-with-demo"} == names & PRIVATE


def test_every_interface_and_service_is_found(legacy_cloud: LegacyCloud) -> None:
    session = Session(auth=LOGINS["v3 password"](legacy_cloud.url))
    for interface in ("public", "internal", "admin"):
        found = {
            type_: session.get_endpoint(service_type=type_, interface=interface)
            for type_ in ("compute", "computev21", "identity", "image")
        }
        assert {
            "compute": f"{legacy_cloud.url}/v2/demo",
            "computev21": f"{legacy_cloud.url}/v2.1/demo",
            "identity": f"{legacy_cloud.url}/identity/v3",
            "image": f"{legacy_cloud.url}/image",
        } == found


def test_discovery_finds_both_versions_and_the_image_api(legacy_cloud: LegacyCloud) -> None:
    session = Session()
    found = discover.Discover(session, f"{legacy_cloud.url}/identity")
    assert [(2, 0), (3, 14)] == [version["version"] for version in found.version_data()]
    auth = LOGINS["v3 password"](legacy_cloud.url)
    image = auth.get_endpoint_data(Session(auth=auth), service_type="image", min_version="2")
    assert image
    assert (f"{legacy_cloud.url}/image/v2/", (2, 17)) == (image.url, image.api_version)


def test_a_token_without_a_project_cannot_list_images(legacy_cloud: LegacyCloud) -> None:
    session = Session(
        auth=identity.V3Password(f"{legacy_cloud.url}/v3", **USER, user_domain_id="default")
    )
    answer = session.get(f"{legacy_cloud.url}/v2/demo/images", raise_exc=False)
    assert 400 == answer.status_code
    assert "doesn't match Context's project_id 'None'" in answer.json()["badRequest"]["message"]


def test_a_revoked_token_is_refused_at_the_compute_service(legacy_cloud: LegacyCloud) -> None:
    session = Session(auth=LOGINS["v3 password"](legacy_cloud.url))
    token = session.get_token()
    assert token
    session.delete(f"{legacy_cloud.url}/v3/auth/tokens", headers={"X-Subject-Token": token})
    answer = Session().get(
        f"{legacy_cloud.url}/v2/demo/images", headers={"X-Auth-Token": token}, raise_exc=False
    )
    assert (401, f'Keystone uri="{legacy_cloud.url}/identity"') == (
        answer.status_code,
        answer.headers["WWW-Authenticate"],
    )


def test_glanceclient_reads_and_writes(legacy_cloud: LegacyCloud) -> None:
    glance = Client("2", session=Session(auth=LOGINS["v3 password"](legacy_cloud.url)))
    everything = list(glance.images.list(page_size=4))
    assert 17 == len(everything)
    (golden,) = glance.images.list(filters={"name": "golden"})
    shown = glance.images.get(golden.id)
    assert ("golden", True, "debian") == (shown.name, shown.protected, shown.os_distro)
    ordered = [image.name for image in glance.images.list(sort="name:asc")]
    assert sorted(ordered) == ordered
    new = glance.images.create(name="new", disk_format="raw", container_format="bare")
    glance.images.upload(new.id, io.BytesIO(b"data"))
    assert b"data" == b"".join(glance.images.data(new.id))
    with pytest.raises(exc.HTTPForbidden, match="is protected and cannot be deleted"):
        glance.images.delete(golden.id)


# The legacy calls with tokens that carry a project.


def listed(client: FlaskClient, root: str, token: str) -> set[str]:
    answer: Any = client.get(f"{root}/images", headers={"X-Auth-Token": token})
    return {image["name"] for image in answer.json["images"]}


def test_each_project_lists_its_own_whatever_the_version(cloud_client: FlaskClient) -> None:
    demo, alt, admin = (
        listed(cloud_client, f"/v2/{project}", project) for project in ("demo", "alt", "admin")
    )
    v2_1 = listed(cloud_client, "/v2.1", "alt")
    assert {"golden", "shared-with-demo"} == demo & PRIVATE
    assert {"alt-only", "shared-with-demo"} == alt & PRIVATE == v2_1 & PRIVATE
    assert PRIVATE == admin & PRIVATE


@pytest.mark.parametrize("path", ["/v2/alt/images", "/v1.1/alt/images/x", "/v2.1/alt/images"])
def test_a_token_is_valid_for_one_project(cloud_client: FlaskClient, path: str) -> None:
    for token in ("demo", "admin"):
        answer: Any = cloud_client.get(path, headers={"X-Auth-Token": token})
        text = f"URL's project_id 'alt' doesn't match Context's project_id '{token}'"
        fault = {"badRequest": {"code": 400, "message": f"Malformed request URL: {text}"}}
        assert (400, fault) == (answer.status_code, answer.json)


def test_any_token_is_accepted_when_open(fake_cloud: FakeCloud) -> None:
    client = create_cloud_app(Settings(fake_open=True), fake_cloud).test_client()
    assert listed(client, "/v2/demo", "made-up") == listed(client, "/v2/demo", "alt")
    for root, token in (("/v2/alt", "made-up"), ("/v2.1", "alt"), ("/image/v2", "alt")):
        assert "alt-only" in listed(client, root, token)
    assert 401 == client.get("/v2/demo/images").status_code


def test_an_admin_changes_and_deletes_what_is_not_protected(cloud_client: FlaskClient) -> None:
    admin = {"X-Auth-Token": "admin"}
    path = "/v2/admin/images/2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b00"
    changed: Any = cloud_client.put(
        f"{path}09/metadata/a", json={"meta": {"a": "b"}}, headers=admin
    )
    assert (200, {"meta": {"a": "b"}}) == (changed.status_code, changed.json)
    assert 204 == cloud_client.delete(f"{path}09", headers=admin).status_code
    protected: Any = cloud_client.delete(f"{path}06", headers=admin)
    message = "You are not allowed to delete the image."
    assert {"forbidden": {"code": 403, "message": message}} == protected.json
    other: Any = cloud_client.delete(
        "/v2/alt/images/2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b0001", headers={"X-Auth-Token": "alt"}
    )
    assert 403 == other.status_code


def test_a_change_gets_the_time_of_the_clouds_clock(
    cloud_client: FlaskClient, fake_cloud: FakeCloud
) -> None:
    fake_cloud.clock.advance(10 * 366 * 86400)
    headers = {"X-Auth-Token": "demo"}
    path = "/v2/demo/images/2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b0006"
    cloud_client.put(f"{path}/metadata/a", json={"meta": {"a": "b"}}, headers=headers)
    shown: Any = cloud_client.get(path, headers=headers)
    assert fake_cloud.clock.now().strftime("%Y-%m-%d") == shown.json["image"]["updated"][:10]
