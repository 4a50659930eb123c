"""Deletes and metadata writes, over the embedded store and over the Glance adapter and its wire."""

import json
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from keystoneauth1.token_endpoint import Token
from support.contract import NOWHERE
from support.fakes import FakeGlance, refusal, says, token_of
from werkzeug.test import TestResponse

from api.faults import FAILED, NO_IMAGE, TOO_LARGE, UNAVAILABLE, bad, fault, forbidden
from nova_image_shim import create_app
from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.image_port import Context
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.auth.caller import Caller
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.settings import Settings
from nova_image_shim.translation.translator import BASE_ATTRIBUTES, to_metadata

IMAGE = "11111111-1111-4111-8111-111111111111"
FOREIGN = "22222222-2222-4222-8222-222222222222"
UNSEEN = "33333333-3333-4333-8333-333333333333"
PROTECTED = "44444444-4444-4444-8444-444444444444"
IMAGES: tuple[dict[str, Any], ...] = (
    {"id": IMAGE, "owner": "demo", "name": "own", "a": "1", "b": "2", "os_glance_import_task": "t"},
    {"id": FOREIGN, "owner": "alt", "name": "foreign", "visibility": "public", "a": "1"},
    {"id": UNSEEN, "owner": "alt", "name": "unseen", "visibility": "private"},
    {"id": PROTECTED, "owner": "demo", "name": "kept", "protected": True},
)
STOCK = [
    complete({**image, "created_at": f"2020-01-01T00:00:{number:02}Z"})
    for number, image in enumerate(IMAGES)
]
LONG = "k" * 256


@dataclass
class Shim:
    """A client of the service, and what its store holds."""

    client: FlaskClient
    store: MemoryImageService

    def send(
        self, method: str, path: str, body: Any = None, mount: str = "v2", **kwargs: Any
    ) -> TestResponse:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kwargs.setdefault("content_type", "application/json")
        return self.client.open(f"/{mount}/demo/images/{path}", method=method, data=data, **kwargs)

    def listed(self) -> list[str]:
        return [image["id"] for image in self.client.get("/v2/demo/images").json["images"]]  # type: ignore[index]

    def metadata(self, image_id: str = IMAGE) -> dict[str, Any]:
        owner = "alt" if image_id == FOREIGN else "demo"
        return to_metadata(self.store.get(Context(owner, "req-test"), image_id))


def client_of(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client


def over_memory(**settings: Any) -> Shim:
    store = MemoryImageService(STOCK)
    return Shim(client_of(create_app(Settings(**settings), store, accept_any_token)), store)


@pytest.fixture(scope="module")
def memory_shim() -> Shim:
    return over_memory()


@pytest.fixture(scope="module")
def glance_client(glance: FakeGlance) -> FlaskClient:
    service = GlanceImageService(GlanceOptions(endpoint=glance.url))
    caller = Caller("demo", "demo", Token(glance.url, token_of("demo")))
    return client_of(create_app(Settings(), service, lambda *_: caller))


@pytest.fixture
def wire(glance: FakeGlance, glance_client: FlaskClient) -> Shim:
    """Return a shim over the fake Glance, which records requests."""
    glance.service = store = MemoryImageService(STOCK)
    return Shim(glance_client, store)


@pytest.fixture(params=["memory", "glance"])
def shim(request: pytest.FixtureRequest) -> Shim:
    if request.param == "glance":
        over_glance: Shim = request.getfixturevalue("wire")
        return over_glance
    shim: Shim = request.getfixturevalue("memory_shim")
    shim.store.store.load(STOCK)
    return shim


NOT_AUTHORIZED = forbidden(f"Not authorized for image {IMAGE}.")
NO_KEY = fault("itemNotFound", 404, "Invalid metadata key")
KEPT = {"os_glance_import_task": "t"}
BEFORE = {"a": "1", "b": "2", **KEPT}


@pytest.mark.parametrize(
    ("method", "path", "body", "answer", "after"),
    [
        ("POST", "", {"c": "3"}, {**BEFORE, "c": "3"}, {**BEFORE, "c": "3"}),
        ("POST", "", {"a": "9"}, {**BEFORE, "a": "9"}, {**BEFORE, "a": "9"}),
        ("POST", "", {"a": "1"}, BEFORE, BEFORE),
        ("POST", "", {}, BEFORE, BEFORE),
        ("POST", "", KEPT, BEFORE, BEFORE),
        ("POST", "", {"é x": "日本"}, {**BEFORE, "é x": "日本"}, {**BEFORE, "é x": "日本"}),
        ("POST", "", {"c~d": "x" * 255}, {**BEFORE, "c~d": "x" * 255}, None),
        ("POST", "", {"kernel_id": "None", "ramdisk_id": ""}, BEFORE, BEFORE),
        ("POST", "", {"mappings": [{"a": 1}]}, {**BEFORE, "mappings": [{"a": 1}]}, None),
        ("PUT", "", {"c": "3"}, {"c": "3"}, {**KEPT, "c": "3"}),
        ("PUT", "", {"a": "9", "c": "3"}, {"a": "9", "c": "3"}, {**KEPT, "a": "9", "c": "3"}),
        ("PUT", "", {}, {}, KEPT),
        ("PUT", "", {**KEPT, "a": "1"}, {**KEPT, "a": "1"}, {**KEPT, "a": "1"}),
        ("PUT", "/c", {"c": "3"}, {"c": "3"}, {**BEFORE, "c": "3"}),
        ("PUT", "/a", {"a": "9"}, {"a": "9"}, {**BEFORE, "a": "9"}),
        ("PUT", "/a.b", {"a.b": ""}, {"a.b": ""}, {**BEFORE, "a.b": ""}),
        ("DELETE", "/a", None, None, {"b": "2", **KEPT}),
    ],
)
def test_a_write_changes_what_it_says(
    shim: Shim, method: str, path: str, body: Any, answer: Any, after: Any
) -> None:
    wrapper = "meta" if path else "metadata"
    sent = None if body is None else {wrapper: body, "ignored": 1}
    got = shim.send(method, f"{IMAGE}/metadata{path}", sent)
    expected = (204, None) if answer is None else (200, {wrapper: answer})
    assert expected == (got.status_code, got.get_json(silent=True))
    assert (after or answer) == shim.metadata()


TEXTS: list[tuple[Any, str]] = [
    *((431, "431"), (0, "0"), (-1, "-1"), (1.5, "1.5"), (1e30, "1e+30"), (10**30, str(10**30))),
    *((True, "True"), (False, "False")),
]


@pytest.mark.parametrize("mount", ["v2", "v1.1"])
@pytest.mark.parametrize("key", ["a", "new"])
@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_a_number_or_boolean_is_stored_as_text(
    shim: Shim, value: Any, text: str, key: str, mount: str
) -> None:
    path = f"/{mount}/demo/images/{IMAGE}/metadata"
    many, one = {"metadata": {key: value}}, {"meta": {key: value}}
    assert {"metadata": {**BEFORE, key: text}} == shim.client.post(path, json=many).json
    assert {**BEFORE, key: text} == shim.metadata()
    assert one == shim.client.put(f"{path}/{key}", json=one).json
    assert {**BEFORE, key: text} == shim.metadata()
    assert many == shim.client.put(path, json=many).json
    assert {**KEPT, key: text} == shim.metadata()


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", ""), ("PUT", "/k")])
@pytest.mark.parametrize(("value", "_text"), TEXTS)
def test_v21_stores_text_only(shim: Shim, value: Any, _text: str, method: str, path: str) -> None:
    wrapper = "meta" if path else "metadata"
    url = f"/v2.1/demo/images/{IMAGE}/metadata{path}"
    got = shim.client.open(url, method=method, json={wrapper: {"k": value}})
    refused = f"Invalid input for field/attribute k. Value: {value}. {value!r} is not of type "
    assert bad(f"{refused}'string'") == (got.status_code, got.json)
    assert BEFORE == shim.metadata()


NO_TEXTS: tuple[Any, ...] = (None, [], {"a": [None]}, math.nan, math.inf)
REFUSED: list[Any] = [
    ("POST", "", b'{"metadata": {"a": "\xff"}}', bad("Malformed request body")),
    ("POST", "", b'{"metadata": {"a": "\\ud800"}}', bad("Malformed request body")),
    ("POST", "", b"[" * 100_000, bad("Malformed request body")),
    ("POST", "", [1], bad("[1] is not of type 'object'")),
    ("PUT", "", {"metadata": ["x"]}, bad("Invalid image metadata")),
    ("PUT", f"/{LONG}", {"meta": {LONG: "1"}}, bad("Image metadata key too long")),
    *(
        (
            "POST",
            "",
            {"metadata": {"k": value}},
            bad(
                f"Invalid input for field/attribute k. Value: {value}. "
                f"{value!r} is not of type 'string'"
            ),
        )
        for value in NO_TEXTS
    ),
    (
        "POST",
        "",
        {"metadata": {"k": 10**255}},
        bad(f"Invalid input for field/attribute k. Value: {10**255}. {10**255} is too long"),
    ),
    ("PUT", "", {"metadata": {"os_glance_import_task": 5}}, NOT_AUTHORIZED),
    (
        "PUT",
        "/k",
        {"meta": {"k": "v" * 256}},
        bad(f"Invalid input for field/attribute k. Value: {'v' * 256}. '{'v' * 256}' is too long"),
    ),
    *(
        ("POST", "", {"metadata": {key: "x"}}, NOT_AUTHORIZED)
        for key in (*sorted(BASE_ATTRIBUTES), "location", "deleted", "deleted_at", "os_glance_x")
    ),
    ("PUT", "", {"metadata": {"a": "1", "owner": "alt"}}, NOT_AUTHORIZED),
    ("PUT", "", {"metadata": {"os_glance_import_task": "other"}}, NOT_AUTHORIZED),
    ("PUT", "/owner", {"meta": {"owner": "alt"}}, NOT_AUTHORIZED),
    ("DELETE", "/os_glance_import_task", None, NOT_AUTHORIZED),
    ("DELETE", "/nothing", None, NO_KEY),
    ("DELETE", "/name", None, NO_KEY),
    (
        "POST",
        "",
        {"metadata": {f"k{number}": "1" for number in range(126)}},
        forbidden("Image metadata limit exceeded"),
    ),
    (
        "PUT",
        "",
        {"metadata": {f"k{number}": "1" for number in range(128)}},
        forbidden("Image metadata limit exceeded"),
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "answer"), REFUSED)
def test_what_cannot_be_written_is_refused_and_changes_nothing(
    shim: Shim, method: str, path: str, body: Any, answer: tuple[int, Any]
) -> None:
    got = shim.send(method, f"{IMAGE}/metadata{path}", body)
    assert answer == (got.status_code, got.json)
    assert BEFORE == shim.metadata()


@pytest.mark.parametrize(("new", "status"), [(125, 200), (126, 403)])
def test_metadata_is_counted_after_the_change(shim: Shim, new: int, status: int) -> None:
    body = {"metadata": {f"k{number}": "1" for number in range(new)} | {"a": "9"}}
    assert status == shim.send("POST", f"{IMAGE}/metadata", body).status_code
    assert (3 + 125 if status == 200 else 3) == len(shim.metadata())


@pytest.mark.parametrize(("limit", "status"), [(-1, 200), (4, 200), (3, 403), (0, 403)])
def test_the_limit_of_items_is_a_setting(limit: int, status: int) -> None:
    shim = over_memory(metadata_limit=limit)
    got = shim.send("PUT", f"{IMAGE}/metadata/c", {"meta": {"c": "3"}})
    assert status == got.status_code


WRITES: list[Any] = [
    ("POST", "/metadata", {"metadata": {"a": "9"}}),
    ("PUT", "/metadata", {"metadata": {"a": "9"}}),
    ("PUT", "/metadata/a", {"meta": {"a": "9"}}),
    ("DELETE", "/metadata/a", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_only_the_owner_writes(shim: Shim, method: str, path: str, body: Any) -> None:
    got = shim.send(method, f"{FOREIGN}{path}", body)
    assert forbidden(f"Not authorized for image {FOREIGN}.") == (got.status_code, got.json)
    for image_id in (UNSEEN, NOWHERE, "..", "x" * 256):
        got = shim.send(method, f"{image_id}{path}", body)
        assert NO_IMAGE == (got.status_code, got.json)
    assert {"a": "1"} == shim.metadata(FOREIGN)


@pytest.mark.parametrize(
    ("image_id", "answer"),
    [
        (PROTECTED, forbidden("You are not allowed to delete the image.")),
        (FOREIGN, forbidden("You are not allowed to delete the image.")),
        *((image_id, NO_IMAGE) for image_id in (UNSEEN, NOWHERE, "detail", "..", "x" * 256)),
    ],
)
def test_what_may_not_be_deleted_stays(shim: Shim, image_id: str, answer: Any) -> None:
    got = shim.send("DELETE", image_id)
    assert answer == (got.status_code, got.json)
    assert [PROTECTED, FOREIGN, IMAGE] == shim.listed()


def test_a_deleted_image_is_gone(shim: Shim) -> None:
    got = shim.send("DELETE", IMAGE)
    assert (204, b"", [PROTECTED, FOREIGN]) == (got.status_code, got.data, shim.listed())
    got = shim.send("DELETE", IMAGE)
    assert NO_IMAGE == (got.status_code, got.json)


KNOWN_TYPES = (
    "application/json",
    "application/json; charset=UTF-8",
    "application/vnd.openstack.compute+json",
    "text/plain",
    None,
)
NO_TYPE = fault("badMediaType", 415, "Unsupported Content-Type")


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        *((known, (200, {"metadata": {**BEFORE, "a": "9"}})) for known in KNOWN_TYPES),
        *(
            (foreign, NO_TYPE)
            for foreign in ("application/xml", "application/x-www-form-urlencoded")
        ),
    ],
)
def test_a_body_of_a_foreign_type_is_refused(
    shim: Shim, content_type: str | None, answer: Any
) -> None:
    body = {"metadata": {"a": "9"}}
    got = shim.send("POST", f"{IMAGE}/metadata", body, content_type=content_type)
    assert answer == (got.status_code, got.json)


def test_a_body_too_large_is_refused(shim: Shim) -> None:
    got = shim.send("POST", f"{IMAGE}/metadata", b"[" + b" " * 114688)
    assert fault("overLimit", 413, TOO_LARGE) == (got.status_code, got.json)


def test_a_body_is_understood_before_it_is_asked_whose_project_it_is(wire: Shim) -> None:
    for data, kind, message in (
        (b"{", "application/json", "Malformed request body"),
        (b"{}", "application/json", "Malformed request URL"),
        (b"{", "image/png", "Unsupported Content-Type"),
    ):
        got = wire.client.post(f"/v2/alt/images/{IMAGE}/metadata", data=data, content_type=kind)
        assert message in got.text


@pytest.mark.parametrize(
    ("method", "path", "body", "patch"),
    [
        (
            "POST",
            "/metadata",
            {"metadata": {"a": "9", "c/~": "3"}},
            [
                {"op": "add", "path": "/c~1~0", "value": "3"},
                {"op": "replace", "path": "/a", "value": "9"},
            ],
        ),
        (
            "PUT",
            "/metadata",
            {"metadata": {"a": "9", "c": "3"}},
            [
                {"op": "add", "path": "/c", "value": "3"},
                {"op": "replace", "path": "/a", "value": "9"},
                {"op": "remove", "path": "/b"},
            ],
        ),
        (
            "PUT",
            "/metadata/block_device_mapping",
            {"meta": {"block_device_mapping": [{"device": "é"}]}},
            [
                {
                    "op": "add",
                    "path": "/block_device_mapping",
                    "value": '[{"device":"\\u00e9"}]',
                }
            ],
        ),
        ("DELETE", "/metadata/a", None, [{"op": "remove", "path": "/a"}]),
        ("POST", "/metadata", {"metadata": {}}, None),
        ("PUT", "/metadata", {"metadata": {"kernel_id": "none", "a": "1", "b": "2"}}, ...),
    ],
)
def test_a_write_is_one_get_and_at_most_one_patch_of_what_changes(
    wire: Shim, glance: FakeGlance, method: str, path: str, body: Any, patch: Any
) -> None:
    assert wire.send(method, f"{IMAGE}{path}", body).status_code in {200, 204}
    calls = ["GET"] if patch is None else ["GET", "PATCH"]
    assert calls == [seen.method for seen in glance.seen]
    if patch is not None and patch is not ...:
        assert patch == json.loads(glance.seen[1].body)


@pytest.mark.parametrize("key", [*sorted(BASE_ATTRIBUTES), "location", "deleted", "deleted_at"])
def test_a_key_named_like_an_attribute_never_reaches_glance(
    wire: Shim, glance: FakeGlance, key: str
) -> None:
    for method, path, body in (
        ("POST", "/metadata", {"metadata": {"x": "1", key: "x"}}),
        ("PUT", "/metadata", {"metadata": {key: "x"}}),
        ("PUT", f"/metadata/{key}", {"meta": {key: "x"}}),
    ):
        got = wire.send(method, f"{IMAGE}{path}", body)
        assert NOT_AUTHORIZED == (got.status_code, got.json)
    got = wire.send("DELETE", f"{IMAGE}/metadata/{key}")
    assert (*NO_KEY, []) == (got.status_code, got.json, glance.seen)


def test_a_delete_is_one_call(wire: Shim, glance: FakeGlance) -> None:
    wire.send("DELETE", IMAGE)
    assert [("DELETE", f"/v2/images/{IMAGE}")] == [(s.method, s.path) for s in glance.seen]


IN_USE = "Image is in use."


@pytest.mark.parametrize(
    ("status", "deleted", "written"),
    [
        (400, bad(IN_USE), bad(IN_USE)),
        (403, forbidden("You are not allowed to delete the image."), NOT_AUTHORIZED),
        (404, NO_IMAGE, NO_IMAGE),
        (409, *[fault("conflictingRequest", 409, IN_USE)] * 2),
        (413, fault("overLimit", 413, TOO_LARGE), forbidden("Image metadata limit exceeded")),
        (500, FAILED, FAILED),
        (503, UNAVAILABLE, UNAVAILABLE),
    ],
)
def test_a_refusal_of_glance_is_told(
    wire: Shim, glance: FakeGlance, status: int, deleted: Any, written: Any
) -> None:
    glance.answers.append(lambda _request: refusal(status, IN_USE))
    got = wire.send("DELETE", IMAGE)
    assert deleted == (got.status_code, got.json)
    glance.answers[:] = [glance.usual, lambda _request: refusal(status, IN_USE)]
    got = wire.send("PUT", f"{IMAGE}/metadata/a", {"meta": {"a": "9"}})
    assert written == (got.status_code, got.json)
    assert BEFORE == wire.metadata()


def test_a_property_that_is_gone_meanwhile_is_removed(wire: Shim, glance: FakeGlance) -> None:
    conflict = "Property a does not exist."
    glance.answers[:] = [glance.usual, lambda _request: refusal(409, conflict)]
    assert 204 == wire.send("DELETE", f"{IMAGE}/metadata/a").status_code


def test_a_write_is_never_sent_twice(wire: Shim, glance: FakeGlance) -> None:
    glance.answers[:] = [glance.usual, says(503)]
    wire.send("PUT", f"{IMAGE}/metadata/a", {"meta": {"a": "9"}})
    glance.answers.append(says(503))
    wire.send("DELETE", IMAGE)
    assert ["GET", "PATCH", "DELETE"] == [seen.method for seen in glance.seen]


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as can be: what is not locked, is then seen to break."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_the_embedded_store_loses_no_write_of_many_at_once() -> None:
    shim = over_memory(metadata_limit=-1)
    wanted = {f"k{number}": str(number) for number in range(300)}

    def write(item: tuple[str, str]) -> int:
        key, value = item
        address = f"/v2/demo/images/{IMAGE}/metadata"
        client = client_of(shim.client.application)
        if int(value) % 2:
            return client.put(f"{address}/{key}", json={"meta": {key: value}}).status_code
        return client.post(address, json={"metadata": {key: value}}).status_code

    with ThreadPoolExecutor(16) as pool:
        assert {200} == set(pool.map(write, wanted.items()))
    assert {**BEFORE, **wanted} == shim.metadata()
