"""Test the effects of deletes and metadata writes on a real Glance."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from nova_image_shim.translation.translator import BASE_ATTRIBUTES

from .cloud import RealCloud
from .test_contract import create

PRESENT = {"a": "1", "b": "2"}
KINDS: dict[str, dict[str, Any]] = {
    "private": {"visibility": "private"},
    "shared": {"visibility": "shared", "members": {"alt": "accepted", "admin": "pending"}},
    "community": {"visibility": "community"},
    "public": {"visibility": "public"},
    "protected": {"visibility": "private", "protected": True},
    "hidden": {"visibility": "shared", "os_hidden": True, "members": {"alt": "accepted"}},
    "queued": {"visibility": "private", "status": "queued"},
    "deactivated": {"visibility": "private", "status": "deactivated"},
}
WRITES: list[Any] = [
    ("POST", "", {"metadata": {"a": "9", "c": "3"}}, {"a": "9", "b": "2", "c": "3"}),
    ("PUT", "", {"metadata": {"c": "é"}}, {"c": "é"}),
    ("PUT", "/a", {"meta": {"a": "9"}}, {"a": "9", "b": "2"}),
    ("PUT", "/c", {"meta": {"c": "3"}}, {"a": "1", "b": "2", "c": "3"}),
    ("DELETE", "/a", None, {"b": "2"}),
]


def send(
    cloud: RealCloud, url: str, user: str, method: str, path: str, body: Any = None
) -> requests.Response:
    headers = {"X-Auth-Token": cloud.token(user)}
    address = f"{url}/v2/{cloud.projects[user]}/images/{path}"
    return requests.request(method, address, json=body, headers=headers, timeout=30)


def owned(cloud: RealCloud, **fields: Any) -> dict[str, Any]:
    """Create an image of demo with tags, sizes and two properties."""
    attributes = {"tags": ["one", "two"], "min_ram": 64, "min_disk": 1, "container_format": "ovf"}
    image = {"owner": "demo", "name": "an image", **attributes, **PRESENT, **fields}
    return create(cloud, image)


def split(image: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an image's attributes, without the modification time, and its properties."""
    attributes = {key: image[key] for key in image if key in BASE_ATTRIBUTES}
    del attributes["updated_at"]
    return attributes, {key: image[key] for key in image if key not in BASE_ATTRIBUTES}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "path", "body", "after"), WRITES)
def test_a_write_changes_only_the_properties_it_names(
    cloud: RealCloud, real_shim: str, kind: str, method: str, path: str, body: Any, after: Any
) -> None:
    before = owned(cloud, **KINDS[kind])
    members = cloud.members("demo", before["id"]) if "members" in KINDS[kind] else None
    with cloud.counting() as counted:
        answer = send(cloud, real_shim, "demo", method, f"{before['id']}/metadata{path}", body)
    assert answer.ok, answer.text
    assert ["GET", "PATCH"] == [call.method for call in counted.glance]
    attributes, properties = split(cloud.get_image("demo", before["id"]))
    assert (split(before)[0], after) == (attributes, properties)
    if members:
        assert members == cloud.members("demo", before["id"])
        assert before["id"] == cloud.get_image("alt", before["id"])["id"]


@pytest.mark.parametrize(
    "key",
    [*sorted(BASE_ATTRIBUTES), "location", "deleted", "deleted_at"],
)
def test_a_key_named_like_an_attribute_is_refused_without_a_call(
    cloud: RealCloud, real_shim: str, shared: dict[str, Any], key: str
) -> None:
    value = cloud.projects["alt"] if key == "owner" else "x"
    requests_made: list[Any] = [
        ("POST", "", {"metadata": {"new": "1", key: value}}),
        ("PUT", "", {"metadata": {key: value}}),
        ("PUT", f"/{key}", {"meta": {key: value}}),
    ]
    message = f"Not authorized for image {shared['id']}."
    with cloud.counting() as counted:
        for method, path, body in requests_made:
            answer = send(cloud, real_shim, "demo", method, f"{shared['id']}/metadata{path}", body)
            assert {"forbidden": {"code": 403, "message": message}} == answer.json()
        answer = send(cloud, real_shim, "demo", "DELETE", f"{shared['id']}/metadata/{key}")
        assert 404 == answer.status_code
    assert [] == counted.glance
    assert shared == cloud.get_image("demo", shared["id"])


@pytest.fixture(scope="module")
def shared(cloud: RealCloud) -> dict[str, Any]:
    return owned(cloud, visibility="shared", members={"alt": "accepted"})


def test_glances_own_properties_are_not_written(
    cloud: RealCloud, real_shim: str, shared: dict[str, Any]
) -> None:
    body = {"metadata": {"os_glance_import_task": "x"}}
    answer = send(cloud, real_shim, "demo", "POST", f"{shared['id']}/metadata", body)
    assert 403 == answer.status_code
    assert shared == cloud.get_image("demo", shared["id"])


@pytest.mark.parametrize(("method", "path", "body", "_after"), WRITES)
@pytest.mark.parametrize("kind", ["public", "community", "shared"])
def test_another_projects_image_cannot_be_changed(
    cloud: RealCloud, real_shim: str, kind: str, method: str, path: str, body: Any, _after: Any
) -> None:
    before = owned(cloud, **KINDS[kind])
    answer = send(cloud, real_shim, "alt", method, f"{before['id']}/metadata{path}", body)
    message = f"Not authorized for image {before['id']}."
    assert {"forbidden": {"code": 403, "message": message}} == answer.json()
    assert before == cloud.get_image("demo", before["id"])


def test_a_partly_invalid_write_changes_nothing(cloud: RealCloud, real_shim: str) -> None:
    before = owned(cloud)
    body = {"metadata": {"c": "3", "kernel_id": "nokernel"}}  # Glance requires a UUID there
    answer = send(cloud, real_shim, "demo", "PUT", f"{before['id']}/metadata", body)
    assert 400 == answer.status_code
    assert "nokernel" in answer.json()["badRequest"]["message"]
    assert before == cloud.get_image("demo", before["id"])


def test_more_properties_than_allowed_are_refused(cloud: RealCloud, real_shim: str) -> None:
    before = owned(cloud)
    many = {"metadata": {f"k{number}": "1" for number in range(127)}}
    answer = send(cloud, real_shim, "demo", "POST", f"{before['id']}/metadata", many)
    message = "Image metadata limit exceeded"
    assert {"forbidden": {"code": 403, "message": message}} == answer.json()
    del many["metadata"]["k0"]
    answer = send(cloud, real_shim, "demo", "POST", f"{before['id']}/metadata", many)
    assert {"metadata": {**PRESENT, **many["metadata"]}} == answer.json()


@pytest.mark.parametrize(
    ("kind", "user", "status", "message"),
    [
        ("private", "demo", 204, None),
        ("public", "demo", 204, None),
        ("protected", "demo", 403, "You are not allowed to delete the image."),
        ("public", "alt", 403, "You are not allowed to delete the image."),
        ("shared", "alt", 403, "You are not allowed to delete the image."),
        ("private", "alt", 404, "Image not found."),
    ],
)
def test_only_the_owner_can_delete_an_image(
    cloud: RealCloud, real_shim: str, kind: str, user: str, status: int, message: str | None
) -> None:
    image = owned(cloud, **KINDS[kind])
    with cloud.counting() as counted:
        answer = send(cloud, real_shim, user, "DELETE", image["id"])
    assert ["DELETE"] == [call.method for call in counted.glance]
    assert status == answer.status_code
    if message is None:
        assert 404 == send(cloud, real_shim, user, "DELETE", image["id"]).status_code
    else:
        assert message == next(iter(answer.json().values()))["message"]
        assert image == cloud.get_image("demo", image["id"])


@pytest.fixture
def compute(cloud: RealCloud, real_shim: str) -> Callable[[str], Any]:
    """Return openstacksdk's compute proxy for an API version of the shim."""
    import openstack  # noqa: PLC0415 - installed for the real tests only

    def connect(mount: str) -> Any:
        connection = openstack.connection.Connection(
            session=cloud.session("demo"),
            region_name=cloud.region,
            compute_endpoint_override=f"{real_shim}/{mount}/{cloud.projects['demo']}",
        )
        return connection.compute

    return connect


@pytest.mark.parametrize("mount", ["v2", "v2.1"])
@pytest.mark.filterwarnings("ignore")  # openstacksdk warns that this proxy is deprecated
def test_openstacksdks_compute_proxy_works(
    cloud: RealCloud, compute: Callable[[str], Any], mount: str
) -> None:
    cloud.purge_images()
    image = owned(cloud, name="by the sdk")
    other = owned(cloud, name="another")
    proxy = compute(mount)
    assert {image["id"], other["id"]} == {found.id for found in proxy.images()}
    assert image["id"] == proxy.find_image("by the sdk", ignore_missing=False).id
    assert ("ACTIVE", 64, 1) == (
        (found := proxy.get_image(image["id"])).status,
        found.min_ram,
        found.min_disk,
    )
    assert PRESENT == proxy.get_image_metadata(image["id"]).metadata
    proxy.set_image_metadata(image["id"], a="9", c="3")
    proxy.delete_image_metadata(image["id"], ["b"])
    assert {"a": "9", "c": "3"} == split(cloud.get_image("demo", image["id"]))[1]
    proxy.delete_image(image["id"], ignore_missing=False)
    assert proxy.find_image(image["id"]) is None
