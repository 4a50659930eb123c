"""Any JSON for any field of an image: always a valid legacy entry, ids kept, never an exception."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.metadata_changes import ReservedKey, to_changes
from nova_image_shim.translation.translator import BASE_ATTRIBUTES, Translator

from .conftest import EXAMPLES

LINKS = Links.under("http://shim", "v2", "t", "http://glance", project_in_alternate=True)
LINK = {
    "type": "object",
    "required": ["rel", "href"],
    "properties": {name: {"type": "string"} for name in ("rel", "href", "type")},
    "additionalProperties": False,
}
TIME = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
BRIEF = {
    "id": {"type": "string"},
    "name": {"type": ["string", "null"]},
    "links": {"type": "array", "items": LINK, "minItems": 3, "maxItems": 3},
}
FULL = {
    **BRIEF,
    "minRam": {"type": "integer"},
    "minDisk": {"type": "integer"},
    "metadata": {"type": "object"},
    "created": TIME,
    "updated": TIME,
    "status": {"enum": ["ACTIVE", "SAVING", "ERROR", "DELETED", "UNKNOWN"]},
    "progress": {"enum": [0, 25, 50, 100]},
    "OS-EXT-IMG-SIZE:size": {"type": "integer"},
}
OPTIONAL = {
    "server": {
        "type": "object",
        "required": ["id", "links"],
        "properties": {"id": {"type": "string"}, "links": {"type": "array", "items": LINK}},
        "additionalProperties": False,
    },
    "OS-DCF:diskConfig": {"enum": ["AUTO", "MANUAL"]},
}


def validator(wanted: dict[str, Any], optional: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(
        {
            "type": "object",
            "required": list(wanted),
            "properties": wanted | optional,
            "additionalProperties": False,
        }
    )


VALID_BRIEF, VALID_FULL = validator(BRIEF, {}), validator(FULL, OPTIONAL)

texts = st.text(st.characters(), max_size=20)
numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(min_value=2**62, max_value=2**70)
)
any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
json_texts = any_json.map(json.dumps) | st.sampled_from(
    ["[" * 300, "NaN", "[1e999]", '"\\ud800"', "{'a': 1}", "", "9" * 5000]
)
times = st.datetimes().map(str) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.{0,6}")
likely = st.sampled_from(
    ["active", "queued", "uploading", "0", "-1", "1e9", " 7 ", "true", "AUTO", "٣", "\ud800", "\0"]
)
values = any_json | json_texts | times | likely
names = texts | st.sampled_from(
    [
        *sorted(BASE_ATTRIBUTES - {"id"}),
        *("instance_uuid", "auto_disk_config", "block_device_mapping", "mappings", "os_glance_x"),
    ]
)
images = st.builds(
    lambda image_id, fields: cast("Any", {**fields, "id": image_id}),
    texts,
    st.dictionaries(names, values, max_size=8),
)


@settings(max_examples=2 * EXAMPLES)
@given(image=images)
def test_any_image_is_a_valid_legacy_entry(image: Any, count: Callable[[], None]) -> None:
    count()
    translator = Translator(LINKS)
    brief, full = translator.brief(image), translator.full(image)
    VALID_BRIEF.validate(brief)
    VALID_FULL.validate(full)
    assert (image["id"], image["id"]) == (brief["id"], full["id"])
    assert set(image) - BASE_ATTRIBUTES == set(full["metadata"])
    data = to_json({"images": [full, brief]})
    assert data.isascii()
    read = json.loads(data, parse_constant=pytest.fail)  # `NaN` is no JSON
    assert [image["id"]] * 2 == [entry["id"] for entry in read["images"]]


@settings(max_examples=2 * EXAMPLES)
@given(
    image=images,
    items=st.dictionaries(names, texts | st.lists(any_json, max_size=2), max_size=5),
    replace_all=st.booleans(),
)
def test_no_change_names_an_attribute_and_all_that_is_asked_for_is_there_after_it(
    image: Any, items: dict[str, Any], replace_all: bool, count: Callable[[], None]
) -> None:
    count()
    items = {key: value for key, value in items.items() if key not in BASE_ATTRIBUTES}
    try:
        changes, count_after = to_changes(image, items, replace_all=replace_all)
    except ReservedKey:
        assert any(key.startswith("os_glance_") for key in items)
        return
    named = [*changes.add, *changes.replace, *changes.remove]
    assert len(set(named)) == len(named)
    assert not BASE_ATTRIBUTES & set(named)
    assert not any(key.startswith("os_glance_") for key in named)
    after = {**image, **changes.add, **changes.replace}
    after = {key: after[key] for key in after if key not in changes.remove}
    assert count_after == len(set(after) - BASE_ATTRIBUTES)
    assert not set(changes.add) & set(image)
    assert set(changes.replace) | set(changes.remove) <= set(image)
