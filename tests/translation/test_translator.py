"""Translation of broken images, links and filters, which the shared cases do not cover."""

import copy
import json
from typing import Any, cast

import pytest

from nova_image_shim.translation.ascii_json import to_elements, to_json, to_json_list
from nova_image_shim.translation.filters import (
    UNFILTERABLE_PROPERTIES,
    GlanceQuery,
    server_id_of,
    to_glance_query,
)
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.times import parse_time, restore_plus, to_nova_time
from nova_image_shim.translation.translator import (
    BASE_ATTRIBUTES,
    to_integer,
    to_metadata,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("yesterday", None),
        (1420070400, None),
        ("2015-13-01T00:00:00Z", None),
        ("2015-06-30T24:00:01Z", None),
        ("2015-07-01T12:00:00Z", "2015-07-01T12:00:00Z"),
        ("2015-07-01T12:00:00+00:00", "2015-07-01T12:00:00Z"),
        ("2015-07-01T12:00:00+09:00", "2015-07-01T03:00:00Z"),
        ("2015-07-01T00:30:00.999-0130", "2015-07-01T02:00:00Z"),
        ("2015-07-01 12:00:00", "2015-07-01T12:00:00Z"),
        ("20150701T120000Z", "2015-07-01T12:00:00Z"),
        ("2015-07-01", "2015-07-01T00:00:00Z"),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("0009-01-01T00:00:00.5Z", "0009-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_shown_in_utc_or_as_null(value: object, expected: str | None) -> None:
    assert expected == to_nova_time(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011-01-24T17:08:00 09:00", "2011-01-24T17:08:00+09:00"),
        ("2011-01-24T17:08:00 0900", "2011-01-24T17:08:00+0900"),
        ("2011-01-24T17:08 09", "2011-01-24T17:08+09"),
        ("2011-01-24 17:08:00.5 09:00", "2011-01-24 17:08:00.5+09:00"),
        ("20110124T170800 0900", "20110124T170800+0900"),
        ("2011-01-24 17:08:00", "2011-01-24 17:08:00"),
        ("2011-01-24 17:08", "2011-01-24 17:08"),
        ("2011-01-24 1708", "2011-01-24 1708"),
    ],
)
def test_a_zones_plus_is_restored(text: str, expected: str) -> None:
    assert expected == restore_plus(text)
    parse_time(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((None, 0), ("512", 512), (" 7 ", 7), ("1.5", 0), ("x", 0), (2.9, 2), ([], 0), ({}, 0)),
        *((float("nan"), 0), (float("inf"), 0), (2**80, 2**80), ("9" * 5000, 0)),
    ],
)
def test_invalid_numbers_become_zero(value: object, expected: int) -> None:
    assert expected == to_integer(value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 300 + "]" * 300,
        "[" * 100_000,
        "NaN",
        "[1e999",
        "[1e999]",
        "9" * 30,
        '"\\ud800"',
        "{'a': 1}",
        "",
    ],
)
def test_json_that_cannot_be_encoded_again_stays_text(text: str) -> None:
    image = cast("Any", {"id": "x", "block_device_mapping": text})
    assert {"block_device_mapping": text} == to_metadata(image)


@pytest.mark.parametrize(
    ("reference", "server_id"),
    [
        ("http://h/v2/t/servers/x?y=1/2", "x"),
        ("http://h/servers/x/#f/g", "x"),
        ("/servers/x//", "x"),
        ("x", "x"),
        ("///", ""),
        ("?a", ""),
    ],
)
def test_the_server_id_is_the_end_of_its_url(reference: str, server_id: str) -> None:
    assert server_id == server_id_of(reference)
    assert {"instance_uuid": server_id} == to_glance_query({"server": reference}).params
    query = to_glance_query({"property-instance_uuid": reference})
    assert {"instance_uuid": server_id} == query.params


@pytest.mark.parametrize("name", ["", "deleted", "deleted_at", *sorted(BASE_ATTRIBUTES)])
def test_a_property_filter_named_like_an_attribute_matches_nothing(name: str) -> None:
    assert to_glance_query({"name": "a", f"property-{name}": "x"}).impossible


@pytest.mark.parametrize("name", ["minRam", "minDisk"])
def test_a_minimum_above_glances_maximum_matches_nothing(name: str) -> None:
    assert not to_glance_query({name: str(2**31 - 1)}).impossible
    assert to_glance_query({name: str(2**31)}).impossible


@pytest.mark.parametrize(
    "name", ["size_min", "b_max", "_x", "__init__", *sorted(UNFILTERABLE_PROPERTIES)]
)
def test_properties_that_glance_cannot_filter_by_are_compared_here(name: str) -> None:
    query = to_glance_query({f"property-{name}": "5", "property-a_max": "b", "status": "ACTIVE"})
    compared = {name: "5", "a_max": "b"}
    assert GlanceQuery({"status": "active"}, compared) == query
    images: list[Any] = [compared, {"x": [], **compared}, {name: "5"}, {name: 5, "a_max": "b"}, {}]
    assert images[:2] == query.matching(images)


@pytest.mark.parametrize(
    ("filters", "params"),
    [
        ({"type": "a", "property-image_type": "b"}, {"image_type": "b"}),
        ({"property-image_type": "b", "type": "a"}, {"image_type": "a"}),
        ({"server": "a", "property-instance_uuid": "/b/"}, {"instance_uuid": "b"}),
    ],
)
def test_the_later_of_two_filters_on_one_parameter_wins(
    filters: dict[str, str], params: dict[str, str]
) -> None:
    assert params == to_glance_query(filters).params


def test_a_project_is_quoted_in_links() -> None:
    links = Links.under("http://s", "v1.1", 'a b"<é', "http://g", project_in_alternate=False)
    assert "http://s/v1.1/a%20b%22%3C%C3%A9/images/" == links.images
    assert "http://g/images/" == links.images_alternate


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Café", rb'"Caf\u00e9"'),
        ("🐍", rb'"\ud83d\udc0d"'),
        ('"\\é\n', rb'"\"\\\u00e9\n"'),
        (["é", "a", "ö"], rb'["\u00e9","a","\u00f6"]'),
        ("été 🐍\\é", rb'"\u00e9t\u00e9 \ud83d\udc0d\\\u00e9"'),
        ("\ud800", rb'"\ud800"'),
        (2**70, str(2**70).encode()),
    ],
)
def test_every_byte_is_ascii(value: object, expected: bytes) -> None:
    assert expected == to_json(value)


@pytest.mark.parametrize("size", [1, 2**70], ids=["small", "too large for orjson"])
@pytest.mark.parametrize("name", [None, "", "a", 'été "🐍\\', "\ud800é"])
def test_entries_are_written_as_any_other_value(name: str | None, size: int) -> None:
    entries: list[dict[str, Any]] = [
        {"name": name, "metadata": {"ö": "é"}},
        {"name": "ü", "size": size},
    ]
    written = to_elements(copy.deepcopy(entries))
    assert entries == json.loads(b"[%s]" % written)
    assert written.isascii()


@pytest.mark.parametrize("large", ["", "x" * 2**20])
def test_pages_are_joined_into_one_list(large: str) -> None:
    names = [[], ["1"], [], ["2", large]]
    pages = [to_elements([{"name": name} for name in some]) for some in names]
    entries = [{"name": name} for name in ("1", "2", large)]
    tails: list[dict[str, Any]] = [{}, {"b": 4}]
    for tail in tails:
        assert to_json({"a": entries, **tail}) == b"".join(to_json_list("a", pages, tail))
        assert to_json({"a": [], **tail}) == b"".join(to_json_list("a", [b""], tail))


def test_only_small_lists_are_joined() -> None:
    assert [b'{"a":[1,2]}'] == to_json_list("a", [b"1", b"2"], {})
    large = b"1" * 2**20
    assert [b'{"a":[', large, b",", b"2", b"]}"] == to_json_list("a", [large, b"2"], {})
