"""The OpenAPI document: valid, of exactly the routes that there are, and true of each answer."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from api.faults import NO_PATH
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.images import load_images
from support.openapi import Document, Operation, calls_of
from werkzeug.test import TestResponse

from nova_image_shim import api_docs, create_app
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.api.errors import PORT_ERRORS
from nova_image_shim.api.schemas import list_query as schemas
from nova_image_shim.api.schemas import metadata, metadata_v21
from nova_image_shim.api_docs import load_document
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.document import Document as SeedDocument
from nova_image_shim.fakecloud.seed import to_seed
from nova_image_shim.settings import Settings
from nova_image_shim.settings.brownout import Brownout

MOUNTS = ("v1.1", "v2", "v2.1")
BASE = "http://127.0.0.1:8774"
DOCUMENT = Document(load_document(MOUNTS))
OPERATIONS = list(DOCUMENT.operations())
STORE_OPERATIONS = [each for each in OPERATIONS if "/images" in each.path]


IMAGES = load_images()


def app(settings: Settings, service: port.ImageService | None = None) -> Flask:
    return create_app(settings, service or MemoryImageService(IMAGES), accept_any_token)


STORE = MemoryImageService()
SERVED = app(Settings(backend="memory"), STORE).test_client()


def served() -> FlaskClient:
    """Return a client of the one application over all images; building one takes long."""
    STORE.store.load(IMAGES)
    return SERVED


def ask(client: FlaskClient, operation: Operation, **request: Any) -> TestResponse:
    """Send an operation's own example, or what is given in its place."""
    request = {"query_string": operation.query(), "base_url": BASE} | request
    headers = {"X-Auth-Token": "demo"} | request.pop("headers", {})
    if "requestBody" in operation.body and "data" not in request:
        content = DOCUMENT.resolve(operation.body["requestBody"])["content"]
        request["json"] = content["application/json"]["example"]
    sent = {name: value for name, value in headers.items() if value is not None}
    answer = client.open(operation.url(), method=operation.method, headers=sent, **request)
    answer.get_data()
    answer.close()  # a file's answer holds it open
    return answer


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT.document).validate()


def test_path_parameters_come_first() -> None:
    for item in DOCUMENT.document["paths"].values():
        assert "parameters" not in item  # Swagger UI would show them after the operation's own
    for operation in OPERATIONS:
        places = [parameter["in"] != "path" for parameter in operation.parameters]
        assert sorted(places) == places, str(operation)


@pytest.mark.parametrize("mounts", [MOUNTS, ("v2",), ("v1.1", "v2"), ("v2.1",), ()])
def test_it_tells_of_exactly_the_routes_that_there_are(mounts: tuple[str, ...]) -> None:
    routed = calls_of(app(Settings(backend="memory", mounts=mounts)))
    told = {
        each
        for operation in Document(load_document(mounts)).operations()
        for each in ([str(operation)] if "{mount}" not in operation.path else versions(mounts))
    }
    assert routed == told


def versions(mounts: tuple[str, ...]) -> list[str]:
    return [f"GET /{mount}{slash}" for mount in mounts for slash in ("", "/")]


def test_head_goes_wherever_get_does() -> None:
    rules = list(served().application.url_map.iter_rules())
    heads = {rule.rule for rule in rules if "HEAD" in (rule.methods or ())}
    assert {rule.rule for rule in rules if "GET" in (rule.methods or ())} == heads


def test_every_query_parameter_of_the_schema_is_told_of_and_no_other() -> None:
    fields = schemas.ListQuerySchema().fields
    known = {field.data_key or name for name, field in fields.items()}
    for operation in OPERATIONS:
        asked = {each["name"] for each in operation.parameters if each["in"] == "query"}
        lists = operation.method == "GET" and re.search("/images(/detail)?$", operation.path)
        assert (known if lists else set()) == asked, str(operation)


def test_every_file_of_the_page_is_told_of_and_sent() -> None:
    (operation,) = [each for each in OPERATIONS if "{asset}" in each.path]
    told = operation.parameters[0]["schema"]["enum"]
    assert sorted(api_docs._ASSETS) == told
    client = served()
    for asset in told:
        with client.get(f"/docs/{asset}", headers={"Range": "bytes=0-1"}) as answer:
            assert (200, []) == (answer.status_code, DOCUMENT.complaints(operation, answer))


RULES = {"": metadata.RULES, "Strict": metadata_v21.RULES}


@pytest.mark.parametrize("prefix", RULES)
def test_the_schemas_take_the_bodies_that_are_shown(prefix: str) -> None:
    bodies = DOCUMENT.document["components"]["requestBodies"]
    for media_type in bodies[f"{prefix}Metadata"]["content"].values():
        assert RULES[prefix].load_metadata(media_type["example"])
    for media_type in bodies[f"{prefix}Meta"]["content"].values():
        assert RULES[prefix].load_meta(media_type["example"], "architecture")


BODIES = [
    {"metadata": {"a": "b" * 255}},
    {"metadata": {"a": "b" * 256}},
    {"metadata": {"k" * 255: ""}},
    {"metadata": {"k" * 256: ""}},
    {"metadata": {"": "b"}},
    {"metadata": {"a": 1}},
    {"metadata": {"a": 1.5}},
    {"metadata": {"a": True}},
    {"metadata": {"mappings": 1}},
    {"metadata": {"a": None}},
    {"metadata": {"mappings": []}},
    {"metadata": {"mappings": {}}},
    {"metadata": {"mappings": "x" * 256}},
    {"metadata": {"a": []}},
    {"metadata": []},
    {"metadata": {}},
    {"metadata": {"a-_:. 1": "b"}},
    {"metadata": {"a/b": "c"}},
    {"metadata": {"é": "c"}},
    {"metadata": {"a": "b"}, "other": 1},
    {"meta": {"a": "b"}},
    {},
]


@pytest.mark.parametrize("prefix", RULES)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:40])
def test_a_body_is_good_to_the_document_where_it_is_to_the_service(
    body: dict[str, Any], prefix: str
) -> None:
    content = DOCUMENT.document["components"]["requestBodies"][f"{prefix}Metadata"]["content"]
    try:
        RULES[prefix].load_metadata(body)
        taken = True
    except ValidationError:
        taken = False
    assert taken == DOCUMENT.schema(content["application/json"]["schema"]).is_valid(body)


def examples() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, response in DOCUMENT.document["components"]["responses"].items():
        for media_type, content in response.get("content", {}).items():
            if "example" in content:
                yield name, media_type, content


@pytest.mark.parametrize(("name", "media_type", "content"), list(examples()))
def test_each_answer_shown_is_of_its_schema(
    name: str, media_type: str, content: Mapping[str, Any]
) -> None:
    DOCUMENT.schema(content["schema"]).validate(content["example"])


def test_every_answer_has_an_example() -> None:
    shown = {(name, media_type) for name, media_type, _ in examples()}
    responses = DOCUMENT.document["components"]["responses"]
    assert shown == {(n, each) for n, told in responses.items() for each in told.get("content", {})}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_each_operation_answers_what_is_shown(operation: Operation) -> None:
    answer = ask(served(), operation)
    assert [] == DOCUMENT.complaints(operation, answer)
    assert 300 > answer.status_code
    told = DOCUMENT.resolve(operation.body["responses"][str(answer.status_code)])
    example = told.get("content", {}).get(answer.content_type, {}).get("example")
    if example and (operation.path.startswith(("/v2/{", "/{mount}")) or operation.path == "/"):
        assert example == (answer.json if answer.is_json else answer.text)


class Refusing(MemoryImageService):
    """A store that raises one error whatever it is asked."""

    error: port.ImageServiceError

    def list_page(self, *_args: Any, **_kwargs: Any) -> Any:
        raise self.error

    get = update = delete = list_page


REFUSING_STORE = Refusing()
REFUSING = app(Settings(), REFUSING_STORE).test_client()


def refusing(error: type[port.ImageServiceError], words: str = "Glance's words") -> FlaskClient:
    REFUSING_STORE.error = error("no-image" if error is port.MarkerNotFound else words)
    REFUSING_STORE.error.retry_after = "7"
    return REFUSING


@pytest.mark.parametrize("operation", STORE_OPERATIONS, ids=str)
def test_each_error_of_the_store_is_answered_as_is_told(operation: Operation) -> None:
    for error, row in PORT_ERRORS.items():
        answer = ask(refusing(error), operation)
        complaints = DOCUMENT.complaints(operation, answer)
        assert (row.status, []) == (answer.status_code, complaints), error.__name__


ERROR_OF = {row.status: error for error, row in PORT_ERRORS.items()}
BROWNED_OUT = app(Settings(brownout=Brownout())).test_client()
DISABLED = app(Settings(healthcheck_disable_file=Path(__file__))).test_client()
REFUSED: dict[int, dict[str, Any]] = {
    400: {"headers": {"Host": "a b"}},
    401: {"headers": {"X-Auth-Token": None}},
    406: {"headers": {"OpenStack-API-Version": "compute 2.36"}},
    415: {"data": b"x", "content_type": "image/png"},
}


def provoke(operation: Operation, status: int) -> TestResponse:
    """Return the answer to a request that should be refused with this status."""
    if status == 406 and "{mount}" in operation.path:
        return served().get("/v2.1/", **REFUSED[406])
    if status == 404 and "{asset}" in operation.path:
        return served().get("/docs/index.html")
    if status == 304:
        etag = ask(served(), operation).headers["ETag"]
        return ask(served(), operation, headers={"If-None-Match": etag})
    if status == 410 or (status == 503 and "/healthcheck" in operation.path):
        return ask(BROWNED_OUT if status == 410 else DISABLED, operation)
    if status in REFUSED:
        return ask(served(), operation, **REFUSED[status])
    return ask(refusing(ERROR_OF[status]), operation)


IMAGE = "/v2/demo/images/155d900f-4e14-4e4c-a73d-069cbf4541e6"
GOLDEN = "/v2/demo/images/2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b0006"
OLD, NEW = ("application/json", "application/json; charset=UTF-8")
HAS_SNAPSHOT = "The image cannot be deleted because it has snapshot(s)."
Clients = Callable[[], FlaskClient]
# A request whose answer is the example of this response.
PROVOKED: list[tuple[str, str, Clients, str, dict[str, Any]]] = [
    ("BadRequest", NEW, served, "/v2/demo/images?limit=x", {}),
    ("BadHost", NEW, served, "/", {"headers": {"Host": "a b"}}),
    ("Unauthorized", OLD, served, IMAGE, {"headers": {}}),
    ("Unauthorized", NEW, partial(refusing, port.ImageNotAuthenticated), IMAGE, {}),
    ("Forbidden", NEW, served, GOLDEN, {"method": "DELETE"}),
    ("ItemNotFound", NEW, served, "/v2/demo/images/none", {}),
    (
        "NotAcceptable",
        NEW,
        served,
        "/v2.1/images",
        {"headers": {"X-Auth-Token": "demo", "OpenStack-API-Version": "compute 2.36"}},
    ),
    ("ConflictingRequest", NEW, partial(refusing, port.ImageConflict, HAS_SNAPSHOT), IMAGE, {}),
    ("Gone", NEW, lambda: BROWNED_OUT, IMAGE, {}),
    ("OverLimit", NEW, served, f"{IMAGE}/metadata", {"method": "POST", "data": b" " * 10**6}),
    (
        "BadMediaType",
        NEW,
        served,
        f"{IMAGE}/metadata",
        {"method": "POST", "data": b"x", "content_type": "image/png"},
    ),
    ("TooManyRequests", NEW, partial(refusing, port.ImageServiceBusy), IMAGE, {}),
    ("ComputeFault", NEW, partial(refusing, port.ImageServiceFailed), IMAGE, {}),
    ("ServiceUnavailable", NEW, partial(refusing, port.ImageServiceUnavailable), IMAGE, {}),
    ("Unhealthy", "text/plain; charset=UTF-8", lambda: DISABLED, "/healthcheck", {}),
    ("Unhealthy", NEW, lambda: DISABLED, "/healthcheck", {"headers": {"Accept": OLD}}),
]


@pytest.mark.parametrize(
    ("name", "media_type", "client", "path", "asked"),
    PROVOKED,
    ids=[f"{name} {media_type}" for name, media_type, *_ in PROVOKED],
)
def test_each_refusal_that_is_shown_is_real(
    name: str, media_type: str, client: Clients, path: str, asked: dict[str, Any]
) -> None:
    request = {"method": "GET", "headers": {"X-Auth-Token": "demo"}} | asked
    answer = client().open(path, **request)
    example = DOCUMENT.document["components"]["responses"][name]["content"][media_type]["example"]
    shown = answer.json if answer.is_json else answer.text
    assert (media_type, example) == (answer.content_type, shown)


def test_every_refusal_that_is_shown_is_provoked() -> None:
    statuses = {
        told["$ref"].rpartition("/")[2]
        for operation in OPERATIONS
        for status, told in operation.body["responses"].items()
        if int(status) >= 400 and "$ref" in told
    }
    assert statuses == {name for name, *_ in PROVOKED}


WITHOUT_MICROVERSIONS = ("/v2/", "/v1.1/")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_each_refusal_that_is_told_of_happens(operation: Operation) -> None:
    for status in map(int, operation.body["responses"]):
        told_for_another = status == 406 and operation.path.startswith(WITHOUT_MICROVERSIONS)
        if status >= 300 and not told_for_another:
            answer = provoke(operation, status)
            complaints = DOCUMENT.complaints(operation, answer)
            assert (status, []) == (answer.status_code, complaints)


@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
@pytest.mark.parametrize("client", [SERVED, DISABLED], ids=["well", "disabled"])
def test_health_is_told_as_text_and_as_json(client: FlaskClient, accept: str) -> None:
    for operation in OPERATIONS:
        if "/healthcheck" in operation.path:
            answer = ask(client, operation, headers={"Accept": accept})
            assert accept == answer.mimetype
            assert [] == DOCUMENT.complaints(operation, answer)


def test_the_end_is_told_in_headers_that_are_told_of() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    settings = Settings(
        backend="memory",
        deprecation=moment,
        sunset=moment,
        deprecation_link="https://example.org/end",
    )
    client = app(settings).test_client()
    for operation in (*STORE_OPERATIONS, *(each for each in OPERATIONS if "{mount}" in each.path)):
        answer = ask(client, operation)
        assert {"Deprecation", "Sunset", "Link"} <= set(answer.headers.keys())
        assert [] == DOCUMENT.complaints(operation, answer)


@pytest.mark.parametrize("project", ["demo", "alt"])
@pytest.mark.parametrize("path", ["images", "images/detail"])
def test_every_image_is_of_its_schema(path: str, project: str) -> None:
    (operation,) = [each for each in OPERATIONS if str(each) == f"GET /v2/{{tenant_id}}/{path}"]
    for accept in ("application/json", "application/vnd.openstack.compute+json"):
        headers = {"X-Auth-Token": "t", "Accept": accept}
        answer = served().get(f"/v2/{project}/{path}", headers=headers)
        assert [] == DOCUMENT.complaints(operation, answer)
        assert 5 < len(answer.json["images"])  # type: ignore[index]


def test_a_fault_of_another_form_would_be_noticed() -> None:
    (operation,) = [each for each in OPERATIONS if str(each) == "GET /v2/{tenant_id}/images"]
    answer = served().get("/v2/demo/images", headers={"X-Auth-Token": "t"})
    answer.set_data(b'{"images": [{"id": 1}]}')
    del answer.headers["X-Compute-Request-Id"]
    answer.headers["X-Other"] = "1"
    assert 5 == len(DOCUMENT.complaints(operation, answer))


def test_it_is_served_to_anyone() -> None:
    client = served()
    assert load_document(MOUNTS) == client.get("/openapi.json").json
    page = client.get("/docs")
    assert (200, page.data) == (page.status_code, client.get("/docs/").data)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("settings", [Settings(backend="memory", docs=False), Settings()])
def test_where_it_is_off_its_paths_are_none(settings: Settings) -> None:
    client = app(settings).test_client()
    nowhere = client.get("/nowhere")
    for path in ("/docs", "/docs/", "/docs/api-docs.js", "/openapi.json"):
        answer = client.get(path)
        assert (nowhere.status_code, nowhere.data) == (answer.status_code, answer.data)


@pytest.mark.parametrize("path", ["/docs/x", "/docs/..", "/docs/../docs.js", "/docs/a/b", "/doc"])
def test_no_other_file_is_served(path: str) -> None:
    answer = served().get(path)
    assert NO_PATH == (answer.status_code, answer.json)


def test_below_a_path_in_front_all_addresses_are_below_it_too() -> None:
    settings = Settings(backend="memory", trusted_proxies=1)
    headers = {"X-Forwarded-Prefix": "/compute"}
    page = app(settings).test_client().get("/docs", headers=headers).text
    addresses = re.findall(r'(?:src|href|data-document)="([^"]+)"', page)
    assert 6 == len(addresses)
    assert [] == [each for each in addresses if not each.startswith("/compute/")]


USER = {"name": "ann", "password": "hunter2-hunter2", "roles": {"acme": ["member"]}}
OWN = {"id": "plain", "owner": "acme"}
DESCRIBED = {"id": "described", "owner": "acme", "architecture": "x86_64"}
LOCKED = {"id": "locked", "owner": "acme", "architecture": "x86_64", "protected": True}
UNFINISHED = {"id": "unfinished", "owner": "acme", "architecture": "x86_64", "status": "queued"}
FOREIGN = {"id": "foreign", "owner": "else", "visibility": "public"}
STATIC = {
    name: DOCUMENT.resolve({"$ref": f"#/components/parameters/{name}"})["example"]
    for name in ("tenant_id", "image_id")
}


def filled_in(seed: dict[str, Any]) -> tuple[FlaskClient, dict[str, str], str]:
    """Return a client of a cloud, and its examples and token."""
    cloud = FakeCloud(to_seed(SeedDocument("seed", seed)))
    client = create_cloud_app(Settings(backend="memory"), cloud).test_client()
    document = client.get("/openapi.json").json
    assert document
    parameters = document["components"]["parameters"]
    (token,) = re.findall(r'data-token="(.*?)"', client.get("/docs").text)
    return client, {name: parameters[name]["example"] for name in STATIC}, token


@pytest.mark.parametrize(
    ("seed", "examples"),
    [
        ({}, STATIC),
        ({"projects": [{"name": "acme"}], "users": [USER]}, {"tenant_id": "acme"}),
        ({"images": [FOREIGN]}, {}),
        ({"images": [{"id": "one", "owner": "demo"}]}, {"image_id": "one"}),
        *(
            (
                {"projects": [{"name": "acme"}], "users": [USER], "images": images},
                {"tenant_id": "acme", "image_id": image_id},
            )
            for images, image_id in (
                ([FOREIGN, OWN], "plain"),
                ([FOREIGN, LOCKED, OWN, DESCRIBED], "described"),
                ([UNFINISHED, OWN], "plain"),
                ([UNFINISHED], "unfinished"),
            )
        ),
        (
            {
                "projects": [{"name": "Team A", "id": "0a"}],
                "users": [USER | {"roles": {"0a": ["member"]}}],
            },
            {"tenant_id": "0a"},
        ),
    ],
)
def test_the_embedded_cloud_fills_in_what_works(
    seed: dict[str, Any], examples: dict[str, str]
) -> None:
    client, found, token = filled_in(seed)
    assert STATIC | examples == found
    headers = {"X-Auth-Token": token}
    assert 200 == client.get(f"/v2/{found['tenant_id']}/images", headers=headers).status_code
    if "image_id" in examples:
        path = f"/v2/{found['tenant_id']}/images/{found['image_id']}"
        assert 200 == client.get(path, headers=headers).status_code


def test_where_nobody_can_log_in_nothing_is_filled_in() -> None:
    _, found, token = filled_in({"projects": [{"name": "acme"}], "users": []})
    assert (STATIC, "") == (found, token)


def test_a_deleted_image_is_no_longer_an_example() -> None:
    client, found, token = filled_in({})
    path = f"/v2/demo/images/{found['image_id']}"
    assert 204 == client.delete(path, headers={"X-Auth-Token": token}).status_code
    document = client.get("/openapi.json").json
    assert document
    assert found["image_id"] != document["components"]["parameters"]["image_id"]["example"]
    assert (
        load_document(MOUNTS)["components"]["parameters"]["image_id"]["example"]
        == STATIC["image_id"]
    )


def test_over_a_real_cloud_no_token_is_filled_in() -> None:
    page = app(Settings(docs=True)).test_client().get("/docs").text
    assert 'data-token=""' in page


def test_a_file_that_the_browser_has_is_304_without_a_body(client: FlaskClient) -> None:
    path = "/docs/swagger-ui.css"
    with (
        client.get(path) as whole,
        client.get(
            path, headers={"If-None-Match": whole.headers["ETag"], "Accept-Encoding": "gzip"}
        ) as answer,
    ):
        assert (304, b"") == (answer.status_code, answer.data)
        assert "Content-Encoding" not in answer.headers
