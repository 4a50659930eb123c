"""The `/v2.1` mount: its document, headers and stricter bodies; and which mounts are served."""

import json
from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.faults import bad, fault
from nova_image_shim import create_app
from nova_image_shim.adapters.image_port import Image
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.settings import Settings

SAMPLE = "70a599e0-31e7-49b7-b260-868f441e862b"
NOVA, STANDARD = "X-OpenStack-Nova-API-Version", "OpenStack-API-Version"
VARY = ["OpenStack-API-Version", "X-OpenStack-Nova-API-Version"]
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


STORE = MemoryImageService()


@cache
def over(**settings: Any) -> FlaskClient:
    """Return a client of an application over one store; building an application takes long."""
    app = create_app(Settings(compat=("no-compression",), **settings), STORE, accept_any_token)
    client = app.test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client


@pytest.fixture
def plain(shipped_images: list[Image]) -> FlaskClient:
    STORE.store.load(shipped_images)
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
    told = [got.headers.get(name) for name in (NOVA, STANDARD)]
    assert (404 if path.endswith("none") else 200) == got.status_code
    assert [version, f"compute {version}"] == told
    assert expected_vary(path) == list(got.vary)


def expected_vary(path: str) -> list[str]:
    return ["X-Auth-Token", *VARY] if "images" in path else VARY


@pytest.mark.parametrize("version", ["2.0", "2.36", "2.104", "2.9999", "1.1", "3.0"])
@pytest.mark.parametrize("path", ["/v2.1/", "/v2.1/demo/images", "/v2.1/demo/images/none"])
def test_a_version_out_of_range_is_a_406(plain: FlaskClient, path: str, version: str) -> None:
    got = plain.get(path, headers={NOVA: version})
    message = f"Version {version} is not supported by the API. Minimum is 2.1 and maximum is 2.35."
    assert fault("computeFault", 406, message) == (got.status_code, got.json)
    assert (version, expected_vary(path)) == (got.headers[NOVA], list(got.vary))


@pytest.mark.parametrize("version", ["2.1", "2.99", "abc"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2.1/demo/nothing/here", 404),
        ("GET", "/v2.1/demo/images/", 404),
        ("PATCH", "/v2.1/demo/images", 405),
        ("OPTIONS", "/v2.1/images", 200),
        ("GET", "/v2.1/demo/images/a%2Fb", 404),
        *(("GET", path, 200) for path in ("/", "/v2/", "/v2/demo/images", "/v1.1/demo/images")),
    ],
)
def test_nothing_is_said_of_versions_but_by_a_call_of_the_mount(
    plain: FlaskClient, method: str, path: str, status: int, version: str
) -> None:
    headers = {NOVA: version, STANDARD: f"compute {version}"}
    got = plain.open(path, method=method, headers=headers, environ_base={"RAW_URI": path})
    told = [got.headers.get(name) for name in (NOVA, STANDARD)]
    assert (status, [None, None]) == (got.status_code, told)
    assert set() == set(VARY) & set(got.vary)


@pytest.mark.parametrize(
    "version", ["abc", "2", "2.1.1", "2.01", "-2.1", "2.x", "v2.1", "2.1²", f"2.{'9' * 5000}", ""]
)
def test_what_is_no_version_is_a_400(plain: FlaskClient, version: str) -> None:
    got = plain.get("/v2.1/demo/images", headers={STANDARD: f"compute {version}", NOVA: version})
    message = (
        f"API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum."
    )
    assert bad(message) == (got.status_code, got.json)
    assert None is got.headers.get(NOVA)


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
    mounts: tuple[str, ...], versions: list[Any], served: set[str], plain: FlaskClient
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


PATTERN = "'^[a-zA-Z0-9-_:. ]{1,255}$'"
MALFORMED, NO_OBJECT = "Malformed request body", "None is not of type 'object'"
MISMATCH, TOO_MANY = "Request body and URI mismatch", "Request body contains too many items"
NO_FORMAT, NO_METADATA = "Incorrect request body format", "'metadata' is a required property"
OTHER = "Additional properties are not allowed ('other' was unexpected)"


def invalid(field: str, value: Any, complaint: str) -> str:
    return f"Invalid input for field/attribute {field}. Value: {value}. {complaint}"


def no_object(field: str, value: Any) -> str:
    return invalid(field, value, f"{value!r} is not of type 'object'")


def is_number(field: str) -> str:
    return invalid(field, 1, "1 is not of type 'string'")


def strange(metadata: dict[str, Any], keys_do: str) -> str:
    """Return what is said of metadata with keys of characters that are not allowed."""
    return invalid("metadata", metadata, f"{keys_do} not match any of the regexes: {PATTERN}")


def too_many(meta: dict[str, Any]) -> str:
    return invalid("meta", meta, f"{meta} has too many properties")


LONG = "k" * 256
TWO_BAD = {"worse?": "1", "bad!": "2"}
TWO_KEYS, TWO_OTHERS = {"k1": "a", "k2": "b"}, {"k2": "a", "k3": "b"}

# Body, the message on /v2.1, and on /v2, where None is a 200.
METADATA_BODIES: list[tuple[Any, str, str | None]] = [
    (b"", NO_OBJECT, MALFORMED),
    (b"null", NO_OBJECT, NO_OBJECT),
    (b"{", MALFORMED, MALFORMED),
    ({}, NO_METADATA, NO_METADATA),
    ({"a": 1}, NO_METADATA, NO_METADATA),
    ({"metadata": "x"}, no_object("metadata", "x"), "Invalid image metadata"),
    ({"metadata": None}, no_object("metadata", None), "Invalid image metadata"),
    ({"metadata": {"": "v"}}, strange({"": "v"}, "'' does"), "Image metadata key cannot be blank"),
    (
        {"metadata": {LONG: "v"}},
        strange({LONG: "v"}, f"'{LONG}' does"),
        "Image metadata key too long",
    ),
    (
        {"metadata": {"bad!": "1", "good": "2"}},
        strange({"bad!": "1", "good": "2"}, "'bad!' does"),
        None,
    ),
    ({"metadata": TWO_BAD}, strange(TWO_BAD, "'bad!', 'worse?' do"), None),
    ({"metadata": {"bad!": "v", "b": 1}}, is_number("b"), None),
    ({"metadata": {"bad!": 1}}, strange({"bad!": 1}, "'bad!' does"), None),
    ({"metadata": {"bad!": "v"}, "other": 1}, strange({"bad!": "v"}, "'bad!' does"), None),
    ({"metadata": {"a": "1"}, "other": 1}, OTHER, None),
    (
        {"metadata": {"a": "1"}, "y": 1, "x": 1},
        "Additional properties are not allowed ('x', 'y' were unexpected)",
        None,
    ),
]

# The same for PUT of the key `k1`.
META_BODIES: list[tuple[Any, str, str | None]] = [
    (b"", NO_OBJECT, MALFORMED),
    ({}, "'meta' is a required property", NO_FORMAT),
    ({"metadata": {}}, "'meta' is a required property", NO_FORMAT),
    ({"meta": "x"}, no_object("meta", "x"), NO_FORMAT),
    ({"meta": None}, no_object("meta", None), NO_FORMAT),
    ({"meta": {}}, invalid("meta", {}, "{} should be non-empty"), MISMATCH),
    ({"meta": TWO_KEYS}, too_many(TWO_KEYS), TOO_MANY),
    ({"meta": TWO_OTHERS}, too_many(TWO_OTHERS), MISMATCH),
    ({"meta": {"bad!": "a", "k1": 1}}, is_number("k1"), TOO_MANY),
    ({"meta": {"k1": 1}}, is_number("k1"), None),
    ({"meta": {"k2": "v"}}, MISMATCH, MISMATCH),
    ({"meta": {"k2": "v"}, "other": 1}, OTHER, MISMATCH),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "strict", "lenient"),
    [
        *(("POST", "", *case) for case in METADATA_BODIES),
        *(("PUT", "", *case) for case in METADATA_BODIES),
        *(("PUT", "/k1", *case) for case in META_BODIES),
    ],
)
def test_bodies_have_stricter_rules_and_other_messages_there(
    plain: FlaskClient, method: str, path: str, body: Any, strict: str, lenient: str | None
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body)
    address = f"demo/images/{SAMPLE}/metadata{path}"
    for mount, message in (("v2.1", strict), ("v2", lenient), ("v1.1", lenient)):
        before = plain.get(f"/v2/demo/images/{SAMPLE}/metadata").json
        got = plain.open(f"/{mount}/{address}", method=method, data=data)
        if message is None:
            assert 200 == got.status_code
        else:
            assert bad(message) == (got.status_code, got.json)
            assert before == plain.get(f"/v2/demo/images/{SAMPLE}/metadata").json


@pytest.mark.parametrize("mount", ["v2.1", "v2"])
def test_a_mapping_may_be_sent_back_as_the_list_it_is_shown_as(
    plain: FlaskClient, mount: str
) -> None:
    items = {"block_device_mapping": [{"boot_index": 0}], "mappings": []}
    got = plain.put(f"/{mount}/demo/images/{SAMPLE}/metadata", json={"metadata": items})
    assert (200, {"metadata": items}) == (got.status_code, got.json)
    assert {"metadata": items} == plain.get(f"/{mount}/demo/images/{SAMPLE}/metadata").json
