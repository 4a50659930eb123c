"""What Tempest, OpenStack's own test suite, demands of these answers: no key that it does not know,
integers that are integers, and the one status that each call has when all is well.
"""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft4Validator
from support.images import load_images
from support.paths import CASES

from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

SAMPLE = "70a599e0-31e7-49b7-b260-868f441e862b"
HELD = {
    "architecture": "x86_64",
    "auto_disk_config": "True",
    "kernel_id": "nokernel",
    "ramdisk_id": "nokernel",
}
MOUNTS = ("/v2/demo", "/v1.1/demo", "/v2.1/demo", "/v2.1")


def keys(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    """Return the schema of an object with these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties.keys() - set(optional)),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
TIME = {"type": "string", "pattern": r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z"}
LINKS = {
    "type": "array",
    "minItems": 1,
    "items": keys({"rel": TEXT, "href": {**TEXT, "pattern": r"\Ahttps?://"}, "type": TEXT}, "type"),
}
BRIEF = {"id": TEXT, "name": {"type": ["string", "null"]}, "links": LINKS}
FULL = {
    **BRIEF,
    "status": {"enum": ["ACTIVE", "SAVING", "DELETED", "ERROR", "UNKNOWN"]},
    "progress": {**COUNT, "maximum": 100},
    "minRam": COUNT,
    "minDisk": COUNT,
    "created": TIME,
    "updated": TIME,
    "metadata": {"type": "object"},
    "OS-EXT-IMG-SIZE:size": COUNT,
    "OS-DCF:diskConfig": {"enum": ["AUTO", "MANUAL"]},
    "server": keys({"id": TEXT, "links": LINKS}),
}
FULL_IMAGE = keys(FULL, "OS-DCF:diskConfig", "server")
LIST, DETAIL = (
    keys({"images": {"type": "array", "items": items}, "images_links": LINKS}, "images_links")
    for items in (keys(BRIEF), FULL_IMAGE)
)


def mistakes(schema: dict[str, Any], value: Any) -> list[str]:
    return [error.message for error in Draft4Validator(schema).iter_errors(value)]


@pytest.mark.parametrize("mount", MOUNTS)
def test_images_have_the_known_keys_and_types(client: FlaskClient, mount: str) -> None:
    listed = client.get(f"{mount}/images").json
    detailed = client.get(f"{mount}/images/detail").json
    paged = client.get(f"{mount}/images/detail?limit=2&marker={SAMPLE}").json
    assert listed
    assert detailed
    assert paged
    assert len(detailed["images"]) > 10
    assert [[], [], []] == [
        mistakes(LIST, listed), mistakes(DETAIL, detailed), mistakes(DETAIL, paged)
    ]  # fmt: skip
    for image in detailed["images"]:
        assert {"image": image} == client.get(f"{mount}/images/{image['id']}").json


@pytest.mark.parametrize(
    "image",
    [
        *load_images(),
        *(case["glance"] for case in json.loads((CASES / "translation.json").read_text())),
    ],
    ids=lambda image: str(image.get("name"))[:30],
)
def test_whatever_glance_holds_is_shown_by_integers_and_known_keys(image: Any) -> None:
    links = Links.under("http://h", "v2", "t", "http://g", project_in_alternate=True)
    schema = json.loads(json.dumps(FULL_IMAGE))
    for name in ("created", "updated"):  # null where Glance's is none
        schema["properties"][name]["type"] = ["string", "null"]
    schema["properties"]["server"]["properties"]["id"] = {}
    assert [] == mistakes(schema, Translator(links).full(image))


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("POST", "/metadata", {"metadata": {"k1": "v1"}}, 200, {"metadata": {**HELD, "k1": "v1"}}),
        ("PUT", "/metadata", {"metadata": {"k1": "v1"}}, 200, {"metadata": {"k1": "v1"}}),
        ("PUT", "/metadata/k1", {"meta": {"k1": "v1"}}, 200, {"meta": {"k1": "v1"}}),
        ("GET", "/metadata/kernel_id", None, 200, {"meta": {"kernel_id": "nokernel"}}),
        ("DELETE", "/metadata/kernel_id", None, 204, None),
        ("DELETE", "", None, 204, None),
    ],
)
def test_a_call_has_its_one_status(
    client: FlaskClient, mount: str, method: str, path: str, body: Any, status: int, answer: Any
) -> None:
    got = client.open(f"{mount}/images/{SAMPLE}{path}", method=method, json=body)
    assert (status, answer) == (got.status_code, got.get_json(silent=True))
    assert (status == 204) == (got.data == b"")


@pytest.mark.parametrize(
    "entry",
    [
        {"minRam": "0"},
        {"minRam": 0.0},
        {"progress": 1.5},
        {"minDisk": True},
        {"OS-EXT-IMG-SIZE:size": None},
        {"visibility": "public"},
        {"status": "active"},
        {"server": {"id": "a"}},
    ],
)
def test_a_wrong_entry_would_be_seen(client: FlaskClient, entry: dict[str, Any]) -> None:
    good = client.get(f"/v2/demo/images/{SAMPLE}").json
    assert good
    assert 1 == len(mistakes(FULL_IMAGE, good["image"] | entry))
