"""The `/v2.1` mount: its document, headers and stricter bodies; and which mounts are served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nova_image_shim import create_app
from nova_image_shim.adapters.image_file import load_images
from nova_image_shim.adapters.memory import MemoryImageService
from nova_image_shim.auth import accept_any_token
from nova_image_shim.settings import Settings

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SAMPLE = "70a599e0-31e7-49b7-b260-868f441e862b"
NOVA, STANDARD = "X-OpenStack-Nova-API-Version", "OpenStack-API-Version"
VARY = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
V20 = {
    "id": "v2.0",
    "status": "SUPPORTED",
    "version": "",
    "min_version": "",
    "updated": "2011-01-21T11:33:21Z",
    "links": [{"rel": "self", "href": "http://localhost/v2/"}],
}
V21 = {
    "id": "v2.1",
    "status": "CURRENT",
    "version": "2.35",
    "min_version": "2.1",
    "updated": "2013-07-23T11:33:21Z",
    "links": [{"rel": "self", "href": "http://localhost/v2.1/"}],
}


def over(**settings: Any) -> FlaskClient:
    conf = Settings(compress=False, **settings)
    app = create_app(conf, MemoryImageService(load_images()), accept_any_token)
    client = app.test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client


@pytest.fixture
def plain() -> FlaskClient:
    return over()


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "2.1"),
        ({NOVA: "2.1"}, "2.1"),
        ({NOVA: "2.35"}, "2.35"),
        ({NOVA: "latest"}, "2.35"),
        ({STANDARD: "compute 2.27"}, "2.27"),
        ({STANDARD: "compute latest"}, "2.35"),
        ({STANDARD: "volume 3.1, compute 2.20"}, "2.20"),
        ({STANDARD: "volume 3.1"}, "2.1"),
        ({STANDARD: "compute 2.20", NOVA: "2.3"}, "2.20"),
        ({STANDARD: "volume 3.1", NOVA: "2.3"}, "2.3"),
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/v2.1", "/v2.1/", "/v2.1/demo/images", f"/v2.1/images/{SAMPLE}", "/v2.1/demo/images/none"],
)
def test_the_version_asked_for_is_answered(
    plain: FlaskClient, path: str, headers: dict[str, str], version: str
) -> None:
    got = plain.get(path, headers=headers)
    told = [got.headers.get(name) for name in (NOVA, STANDARD, "Vary")]
    assert (404 if path.endswith("none") else 200) == got.status_code
    assert [version, f"compute {version}", VARY] == told


@pytest.mark.parametrize("version", ["2.0", "2.36", "2.104", "2.9999", "1.1", "3.0"])
@pytest.mark.parametrize("path", ["/v2.1/", "/v2.1/demo/images", "/v2.1/demo/nothing/here"])
def test_a_version_out_of_range_is_a_406(plain: FlaskClient, path: str, version: str) -> None:
    got = plain.get(path, headers={NOVA: version})
    message = f"Version {version} is not supported by the API. Minimum is 2.1 and maximum is 2.35."
    assert (406, {"computeFault": {"code": 406, "message": message}}) == (got.status_code, got.json)
    assert [version, VARY] == [got.headers[NOVA], got.headers["Vary"]]


@pytest.mark.parametrize(
    "version", ["abc", "2", "2.1.1", "2.01", "-2.1", "2.x", "v2.1", "2.1²", f"2.{'9' * 5000}", ""]
)
def test_what_is_no_version_is_a_400(plain: FlaskClient, version: str) -> None:
    got = plain.get("/v2.1/demo/images", headers={STANDARD: f"compute {version}", NOVA: version})
    message = (
        f"API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum."
    )
    assert (400, {"badRequest": {"code": 400, "message": message}}) == (got.status_code, got.json)
    assert None is got.headers.get(NOVA)


@pytest.mark.parametrize("path", ["/", "/v2/", "/v2/demo/images", "/v1.1/demo/images"])
def test_the_other_mounts_ignore_versions(plain: FlaskClient, path: str) -> None:
    got = plain.get(path, headers={NOVA: "garbage", STANDARD: "compute 2.99"})
    told = [got.headers.get(name) for name in (NOVA, STANDARD, "Vary")]
    assert (200, [None, None, None]) == (got.status_code, told)


def test_without_a_token_nothing_is_said_of_versions(plain: FlaskClient) -> None:
    got = plain.get("/v2.1/demo/images", headers={NOVA: "2.99", "X-Auth-Token": ""})
    assert (401, None) == (got.status_code, got.headers.get(NOVA))


def test_the_version_document_is_novas(plain: FlaskClient) -> None:
    html = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    media_type = "application/vnd.openstack.compute+json;version=2.1"
    expected = {
        **V21,
        "links": [*V21["links"], html],
        "media-types": [{"base": "application/json", "type": media_type}],
    }
    assert {"version": expected} == plain.get("/v2.1").json == plain.get("/v2.1/").json


@pytest.mark.parametrize(
    ("mounts", "versions", "served"),
    [
        (("v1.1", "v2", "v2.1"), [V20, V21], {"v1.1", "v2", "v2.1"}),
        (("v2",), [V20], {"v2"}),
        (("v1.1", "v2"), [V20], {"v1.1", "v2"}),
        (("v2.1",), [V21], {"v2.1"}),
        (("v1.1",), [], {"v1.1"}),
    ],
)
def test_only_the_mounts_of_the_setting_are_served(
    mounts: tuple[str, ...], versions: list[Any], served: set[str]
) -> None:
    client = over(mounts=mounts)
    assert {"versions": versions} == client.get("/").json
    for suffix in ("", "/", "/demo/images", "/demo/images/detail"):
        answers = {name: client.get(f"/{name}{suffix}") for name in ("v1.1", "v2", "v2.1")}
        assert served == {name for name, got in answers.items() if got.status_code == 200}


@pytest.mark.parametrize(
    ("path", "project"), [("/v2.1/demo/images/", "/demo"), ("/v2.1/images/", "")]
)
def test_links_are_of_the_mount_and_have_the_projects_segment_of_the_path(
    plain: FlaskClient, path: str, project: str
) -> None:
    got = plain.get(f"{path}{SAMPLE}").json
    assert got
    assert [
        f"http://localhost/v2.1{project}/images/{SAMPLE}",
        f"http://localhost{project}/images/{SAMPLE}",
        f"http://localhost{project}/images/{SAMPLE}",
    ] == [link["href"] for link in got["image"]["links"]]
    page = plain.get(f"{path}detail?limit=1").json
    assert page
    last = page["images"][0]["id"]
    href = f"http://localhost/v2.1{project}/images/detail?limit=1&marker={last}"
    assert [{"rel": "next", "href": href}] == page["images_links"]


BAD_KEY = "'bad!' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'"


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        (
            "POST",
            "",
            {"metadata": {"bad!": "1", "good": "2"}},
            "Invalid input for field/attribute metadata. "
            f"Value: {{'bad!': '1', 'good': '2'}}. {BAD_KEY}",
        ),
        (
            "PUT",
            "/bad!",
            {"meta": {"bad!": "1"}},
            f"Invalid input for field/attribute meta. Value: {{'bad!': '1'}}. {BAD_KEY}",
        ),
        (
            "POST",
            "",
            {"metadata": {"a": "1"}, "other": 1},
            "Additional properties are not allowed ('other' was unexpected)",
        ),
        (
            "PUT",
            "",
            {"metadata": {"a": "1"}, "y": 1, "x": 1},
            "Additional properties are not allowed ('x', 'y' were unexpected)",
        ),
    ],
)
def test_bodies_are_checked_more_strictly_there_only(
    plain: FlaskClient, method: str, path: str, body: Any, message: str
) -> None:
    address = f"demo/images/{SAMPLE}/metadata{path}"
    got = plain.open(f"/v2.1/{address}", method=method, json=body)
    assert {"badRequest": {"code": 400, "message": message}} == got.json
    assert 200 == plain.open(f"/v2/{address}", method=method, json=body).status_code
