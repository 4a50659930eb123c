"""Lists as Glance returns them: filters, order and pages.

Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer, and glance/common/utils.py
for the operators.
"""

import contextlib
import csv
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import iso8601

from nova_image_shim.adapters.image_port import (
    Context,
    Image,
    ImageBadRequest,
    MarkerNotFound,
    Page,
)
from nova_image_shim.adapters.memory.policy import is_listed, is_visible
from nova_image_shim.adapters.memory.store import StoredImage

Test = Callable[[Any], bool]  # of an image

MAX_LIMIT = 1000  # Glance's api_limit_max
_DEFAULT_LIMIT = "25"  # Glance's limit_param_default
_SORT_KEYS = """
    name status container_format disk_format size id created_at updated_at
""".split()
_PAGING = {"limit", "marker", "sort", "sort_key", "sort_dir", "member_status"}
_MEMBER_STATUSES = {"pending", "accepted", "rejected", "all"}
_NUMBERS = ("size", "min_ram", "min_disk")
_WITH_OPERATORS = ("id", "name", "status", "container_format", "disk_format")
_OPERATORS = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}


def find_page(
    context: Context, images: Mapping[str, StoredImage], pairs: Iterable[tuple[str, str]]
) -> Page:
    """Return the page of the caller's list that a request's parameters describe.

    Raises:
        ImageBadRequest: a parameter is invalid; the text says which and why.
        MarkerNotFound: the caller cannot see the marker's image.
    """
    given = list(pairs)
    first = dict(reversed(given))
    if "os_hidden" not in first:
        given.append(("os_hidden", "false"))
    tests = [_TESTS.get(name, _equal)(name, value) for name, value in given if name not in _PAGING]
    order = _order(given)
    limit = min(_number("limit", first.get("limit", _DEFAULT_LIMIT)), MAX_LIMIT)
    marker = first.get("marker")
    member_status = first.get("member_status", "accepted")
    if member_status not in _MEMBER_STATUSES:
        raise ImageBadRequest(f"Invalid status: {member_status}")
    if marker and not (marker in images and is_visible(context, images[marker])):
        raise MarkerNotFound(marker)
    found = [
        stored.image
        for stored in images.values()
        if stored.image["id"] == marker  # which may be visible and not listed
        or (
            is_listed(context, stored, member_status, community="visibility" in first)
            and all(test(stored.image) for test in tests)
        )
    ]
    for descending, keys in reversed(order):
        found.sort(key=partial(_sort_values, keys), reverse=descending)
    return _cut(found, marker, limit)


def _cut(images: list[Image], marker: str | None, limit: int) -> Page:
    start = [image["id"] for image in images].index(marker) + 1 if marker else 0
    page = images[start : start + limit]
    is_full = 0 < limit == len(page)
    return Page(page, page[-1]["id"] if is_full else None)


def _order(pairs: Iterable[tuple[str, str]]) -> list[tuple[bool, list[str]]]:
    """Return what to sort by; images that are equal there are in order of time and id."""
    values: dict[str, list[str]] = {"sort": [], "sort_key": [], "sort_dir": []}
    for name, value in pairs:
        values.get(name, []).append(value)
    if values["sort"]:
        sort = [item.partition(":")[::2] for item in values["sort"][0].split(",")]
    else:
        keys = values["sort_key"] or ["created_at"]
        directions = values["sort_dir"] or ["desc"]
        if len(directions) == 1:
            directions *= len(keys)
        if len(directions) != len(keys):
            raise ImageBadRequest("Number of sort dirs does not match the number of sort keys")
        sort = list(zip(keys, directions, strict=True))
    order = [_sort_pair(key.strip(), direction.strip() or "desc") for key, direction in sort]
    last = order[-1][1]
    order = [*order, ("created_at", last), ("id", last)]
    grouped = groupby(dict.fromkeys(order), key=itemgetter(1))
    return [(descending, [key for key, _ in pairs]) for descending, pairs in grouped]


def _sort_pair(key: str, direction: str) -> tuple[str, bool]:
    if key not in _SORT_KEYS:
        allowed = ", ".join(_SORT_KEYS)
        raise ImageBadRequest(
            f"Invalid sort key: {key}. It must be one of the following: {allowed}."
        )
    if direction not in {"asc", "desc"}:
        raise ImageBadRequest(f"Invalid sort direction: {direction}")
    return key, direction == "desc"


def _sort_values(keys: Sequence[str], image: Image) -> list[tuple[bool, Any]]:
    """Return what to compare by; null comes before every value."""
    return [(value is not None, value) for value in map(image.get, keys)]


def _equal(name: str, value: str) -> Test:
    return lambda image: image.get(name) == value


def _split_operator(value: str) -> tuple[str, str]:
    """Return operator and operand, `eq` for none; the colons of a bare time separate nothing."""
    word, colon, operand = value.partition(":")
    if colon:
        with contextlib.suppress(iso8601.ParseError):
            iso8601.parse_date(value)
            return "eq", value
        return word, operand
    return "eq", value


def _any_of(name: str, value: str) -> Test:
    word, operand = _split_operator(value)
    if word not in {"eq", "in"}:
        raise ImageBadRequest(f"Unable to filter by unknown operator '{word}'.")
    allowed = next(csv.reader([operand]), []) if word == "in" else [operand]
    return lambda image: image.get(name) in allowed


def _tag(_name: str, value: str) -> Test:
    return lambda image: value in image["tags"]


def _hidden(name: str, value: str) -> Test:
    word = value.lower()
    if word not in {"true", "false"}:
        allowed = "Valid values are 'true' or 'false'."
        raise ImageBadRequest(f"Invalid value '{word}' for '{name}' filter. {allowed}")
    return lambda image: image["os_hidden"] == (word == "true")


def _visibility(_name: str, value: str) -> Test:
    if value and value not in {"community", "public", "private", "shared", "all"}:
        raise ImageBadRequest(f"Invalid visibility value: {value}")
    return lambda image: value in {"all", image["visibility"]}


def _protected(_name: str, value: str) -> Test:
    if value.lower() not in {"true", "false"}:
        raise ImageBadRequest(f"Invalid value '{value}' for 'protected' filter.")
    return lambda image: image["protected"] == (value.lower() == "true")


def _time(name: str, value: str) -> Test:
    word, text = _split_operator(value)
    try:
        moment = iso8601.parse_date(text)
    except iso8601.ParseError as error:
        raise ImageBadRequest(
            f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.'
        ) from error
    if word not in _OPERATORS:
        raise ImageBadRequest("Unable to filter on a unknown operator.")
    compare = _OPERATORS[word]
    return lambda image: compare(iso8601.parse_date(image[name]), moment)


def _bound(key: str, compare: Callable[[Any, Any], Any]) -> Callable[[str, str], Test]:
    def make(name: str, value: str) -> Test:
        number = _number(name, value)
        return lambda image: image.get(key) is not None and bool(compare(image[key], number))

    return make


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ImageBadRequest(f"{name} param must be an integer of at least 0")
    return int(value)


_TESTS: dict[str, Callable[[str, str], Test]] = {
    "os_hidden": _hidden,
    "visibility": _visibility,
    "protected": _protected,
    "tag": _tag,
    "created_at": _time,
    "updated_at": _time,
    **dict.fromkeys(_WITH_OPERATORS, _any_of),
    **{key: _bound(key, operator.eq) for key in _NUMBERS},
    **{f"{key}_min": _bound(key, operator.ge) for key in _NUMBERS},
    **{f"{key}_max": _bound(key, operator.le) for key in _NUMBERS},
}
