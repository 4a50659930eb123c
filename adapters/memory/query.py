"""Lists as Glance returns them: filters, order and pages.

Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer, and glance/common/utils.py
for the operators.
"""

import contextlib
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby, starmap
from operator import itemgetter
from typing import Any

import iso8601

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.policy import is_listed, is_visible
from nova_image_shim.adapters.memory.store import StoredImage

Test = Callable[[Any], bool]  # of an image

MAX_LIMIT = 1000  # Glance's api_limit_max
_DEFAULT_LIMIT = 25  # Glance's limit_param_default
_SORT_KEYS = """
    name status container_format disk_format size id created_at updated_at
""".split()
_MEMBER_STATUSES = {"pending", "accepted", "rejected", "all"}
_NUMBERS = ("size", "virtual_size", "min_ram", "min_disk")
_WITH_OPERATORS = ("id", "name", "status", "container_format", "disk_format")
_ITEM = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)",?|([^,]+),?|,')
_OPERATORS = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}


def find_page(
    context: port.Context, images: Mapping[str, StoredImage], pairs: Iterable[tuple[str, str]]
) -> port.Page:
    """Return the page of the caller's list that a request's parameters describe.

    Raises:
        ImageBadRequest: a parameter is invalid; the text says which and why.
        MarkerNotFound: the caller cannot see the marker's image.
    """
    given = list(pairs)
    limit = _limit(_take(given, "limit"))
    marker = _take(given, "marker")
    status = _take(given, "member_status")
    member_status = "accepted" if status is None else status
    if member_status not in _MEMBER_STATUSES:
        raise port.ImageBadRequest(f"Invalid status: {member_status}")
    tests = [_tag("tag", tag) for tag in _take_all(given, "tag")]
    order = _order(given)
    filters = {"os_hidden": "false", **dict(given)}
    filters.pop("deleted", None)  # which Glance ignores
    tests += [_TESTS.get(name, _equal)(name, value) for name, value in filters.items()]
    if marker is not None and not (marker in images and is_visible(context, images[marker])):
        raise port.MarkerNotFound(marker)
    found = [
        stored.image
        for stored in images.values()
        if stored.image["id"] == marker  # which may be visible and not listed
        or (
            is_listed(context, stored, member_status, community="visibility" in filters)
            and all(test(stored.image) for test in tests)
        )
    ]
    for descending, keys in reversed(order):
        found.sort(key=partial(_sort_values, keys), reverse=descending)
    return _cut(found, marker, limit)


def _take(pairs: list[tuple[str, str]], name: str) -> str | None:
    """Remove and return the first value of a parameter; in Glance, other values are filters."""
    for pair in pairs:
        if pair[0] == name:
            pairs.remove(pair)
            return pair[1]
    return None


def _take_all(pairs: list[tuple[str, str]], name: str) -> list[str]:
    return [value.strip() for value in iter(partial(_take, pairs, name), None)]


def _limit(value: str | None) -> int:
    try:
        limit = _DEFAULT_LIMIT if value is None else int(value)
    except ValueError as error:
        raise port.ImageBadRequest("limit param must be an integer") from error
    if limit < 0:
        raise port.ImageBadRequest("limit param must be positive")
    return min(limit, MAX_LIMIT)


def _cut(images: list[port.Image], marker: str | None, limit: int) -> port.Page:
    start = [image["id"] for image in images].index(marker) + 1 if marker else 0
    page = images[start : start + limit]
    is_full = 0 < limit == len(page)
    return port.Page(page, page[-1]["id"] if is_full else None)


def _order(pairs: list[tuple[str, str]]) -> list[tuple[bool, list[str]]]:
    """Return what to sort by; images that are equal there are in order of time and id."""
    sort = _take(pairs, "sort")
    if sort is None:
        keys, directions = _take_all(pairs, "sort_key"), _take_all(pairs, "sort_dir")
        if len(directions) > 1 and len(directions) != len(keys):
            raise port.ImageBadRequest("Number of sort dirs does not match the number of sort keys")
    else:
        if not {"sort_key", "sort_dir"}.isdisjoint(dict(pairs)):
            raise port.ImageBadRequest("Old and new sorting syntax cannot be combined")
        items = [item.partition(":") for item in sort.split(",")]
        keys, directions = [item[0] for item in items], [item[2] or "desc" for item in items]
    keys, directions = keys or ["created_at"], directions or ["desc"]
    usual = directions[0] if len(directions) == 1 else "desc"
    if len(directions) == 1:
        directions *= len(keys)
    order = list(starmap(_sort_pair, zip(keys, directions, strict=True)))
    order += [(key, usual == "desc") for key in ("created_at", "id") if key not in dict(order)]
    grouped = groupby(dict.fromkeys(order), key=itemgetter(1))
    return [(descending, [key for key, _ in pairs]) for descending, pairs in grouped]


def _sort_pair(key: str, direction: str) -> tuple[str, bool]:
    key, direction = key.strip(), direction.strip()
    if key not in _SORT_KEYS:
        allowed = ", ".join(_SORT_KEYS)
        raise port.ImageBadRequest(
            f"Invalid sort key: {key}. It must be one of the following: {allowed}."
        )
    if direction not in {"asc", "desc"}:
        raise port.ImageBadRequest(f"Invalid sort direction: {direction}")
    return key, direction == "desc"


def _sort_values(keys: Sequence[str], image: port.Image) -> list[tuple[bool, Any]]:
    """Return what to compare by; null comes before every value."""
    return [(value is not None, value) for value in map(image.get, keys)]


def _equal(name: str, value: str) -> Test:
    return lambda image: image.get(name) is not None and str(image[name]) == value


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
        raise port.ImageBadRequest(f"Unable to filter by unknown operator '{word}'.")
    allowed = _items(operand) if word == "in" else [operand]
    return lambda image: image.get(name) in allowed


def _tag(_name: str, value: str) -> Test:
    return lambda image: value in image["tags"]


def _items(value: str) -> list[str]:
    """Return the values in a list with commas; one that contains commas is in quotes."""
    is_open = False
    for quote in re.finditer(r'(?<!\\)"', value):
        beside = value[quote.end() :][:1] if is_open else value[: quote.start()][-1:]
        if beside not in {"", ","}:
            where = "after closing" if is_open else "before opening"
            text = f"There is no comma {where} quotation mark."
            raise port.ImageBadRequest(f"Invalid filter value {value}. {text}")
        is_open = not is_open
    if is_open:
        raise port.ImageBadRequest(f"Invalid filter value {value}. The quote is not closed.")
    return [quoted or bare for quoted, bare in _ITEM.findall(value)]


def _flag(name: str, value: str) -> Test:
    word = value.lower() if name == "os_hidden" else value
    if word not in {"true", "false"}:
        allowed = "Valid values are 'true' or 'false'."
        raise port.ImageBadRequest(f"Invalid value '{word}' for '{name}' filter. {allowed}")
    return lambda image: image[name] == (word == "true")


def _changes_since(_name: str, value: str) -> Test:
    if value:
        raise port.ImageBadRequest('The "changes-since" filter is no longer available on v2.')
    return lambda _image: True


def _visibility(_name: str, value: str) -> Test:
    if value and value not in {"community", "public", "private", "shared", "all"}:
        raise port.ImageBadRequest(f"Invalid visibility value: {value}")
    return lambda image: value in {"all", image["visibility"]}


def _time(name: str, value: str) -> Test:
    word, text = _split_operator(value)
    try:
        moment = iso8601.parse_date(text)
    except iso8601.ParseError as error:
        raise port.ImageBadRequest(
            f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.'
        ) from error
    if word not in _OPERATORS:
        raise port.ImageBadRequest("Unable to filter on a unknown operator.")
    compare = _OPERATORS[word]
    return lambda image: compare(iso8601.parse_date(image[name]), moment)


def _bound(name: str, value: str) -> Test:
    key, compare = name[:-4], operator.ge if name.endswith("_min") else operator.le
    try:
        number = int(value)
    except ValueError as error:
        text = "Unable to filter on a range with a non-numeric value."
        raise port.ImageBadRequest(text) from error
    return lambda image: image.get(key) is not None and compare(image[key], number)


_TESTS: dict[str, Callable[[str, str], Test]] = {
    "os_hidden": _flag,
    "protected": _flag,
    "visibility": _visibility,
    "changes-since": _changes_since,
    "created_at": _time,
    "updated_at": _time,
    **dict.fromkeys(_WITH_OPERATORS, _any_of),
    **{f"{key}_{bound}": _bound for key in _NUMBERS for bound in ("min", "max")},
}
