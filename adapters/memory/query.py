"""A list as Glance makes it: who sees which image, filters, order and pages.

Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer, glance/db/utils.py for the
operators, and glance/db/sqlalchemy/api.py, _select_images_query, for visibility.
"""

from __future__ import annotations

import csv
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import iso8601

from nova_image_shim.adapters.image_port import (
    Context,
    Image,
    ImageBadRequest,
    MarkerNotFound,
    Page,
)
from nova_image_shim.adapters.memory.store import StoredImage

Test = Callable[[Mapping[str, Any]], bool]

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
_GONE = {"deleted", "pending_delete"}
_UNLISTED = {*_GONE, "killed"}


def is_admin(context: Context) -> bool:
    """Tell whether the caller may see and change what others own."""
    return "admin" in context.roles


def is_visible(context: Context, stored: StoredImage) -> bool:
    """Tell whether the caller can get an image by its id."""
    image, members = stored
    if image["status"] in _GONE:
        return False
    return (
        image["visibility"] in {"public", "community"}
        or image["owner"] == context.project_id
        or (image["visibility"] == "shared" and context.project_id in members)
        or is_admin(context)
    )


def is_listed(context: Context, stored: StoredImage, member_status: str = "accepted") -> bool:
    """Tell whether an image is in the caller's list; an admin's lacks others' community images.

    Args:
        context: the caller.
        stored: the image and its members.
        member_status: which of the images shared with the caller: `accepted`, `pending`,
            `rejected` or `all`.
    """
    image, members = stored
    if image["os_hidden"] or image["status"] in _UNLISTED:
        return False
    if image["visibility"] == "public" or image["owner"] == context.project_id:
        return True
    if image["visibility"] == "community":
        return False
    status = members.get(context.project_id)
    is_shared = image["visibility"] == "shared" and status is not None
    return is_admin(context) or (is_shared and member_status in {status, "all"})


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """A checked query.

    Args:
        tests: what an image must pass, all of them.
        order: whether the greatest comes first, and the attributes that this holds for.
        limit: the size of a page.
        marker: the id after which the page begins.
        member_status: as for `is_listed`.
    """

    tests: Sequence[Test]
    order: Sequence[tuple[bool, Sequence[str]]]
    limit: int
    marker: str | None
    member_status: str

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> ImageQuery:
        """Return the query of a request's parameters, in their order.

        Raises:
            ImageBadRequest: a parameter is invalid; the text says which and why.
        """
        given = list(pairs)
        first = dict(reversed(given))
        return cls(
            tests=[_test(name, value) for name, value in given if name not in _PAGING],
            order=_order(given),
            limit=min(_number("limit", first.get("limit", _DEFAULT_LIMIT)), MAX_LIMIT),
            marker=first.get("marker"),
            member_status=_member_status(first.get("member_status", "accepted")),
        )

    def page(self, context: Context, images: Mapping[str, StoredImage]) -> Page:
        """Return the page of the images that the caller's list has.

        Raises:
            MarkerNotFound: the caller cannot see the marker's image.
        """
        if self.marker and not (self.marker in images and is_visible(context, images[self.marker])):
            raise MarkerNotFound(self.marker)
        found = [  # the marker's image may be visible and not listed
            stored.image
            for image_id, stored in images.items()
            if image_id == self.marker or self._matches(context, stored)
        ]
        for descending, keys in reversed(self.order):
            found.sort(key=partial(_sort_values, keys), reverse=descending)
        start = [image["id"] for image in found].index(self.marker) + 1 if self.marker else 0
        page = found[start : start + self.limit]
        is_full = 0 < self.limit == len(page)
        return Page(page, page[-1]["id"] if is_full else None)

    def _matches(self, context: Context, stored: StoredImage) -> bool:
        image = cast("dict[str, Any]", stored.image)
        return is_listed(context, stored, self.member_status) and all(
            test(image) for test in self.tests
        )


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


def _test(name: str, value: str) -> Test:
    """Return the check that a filter makes.

    Raises:
        ImageBadRequest: its value is invalid, or the embedded store does not list such images.
    """
    return _TESTS.get(name, _equal)(name, value)


def _equal(name: str, value: str) -> Test:
    return lambda image: image.get(name) == value


def _any_of(name: str, value: str) -> Test:
    word, colon, rest = value.partition(":")
    if colon and word == "in":
        allowed = next(csv.reader([rest]), [])
    else:
        allowed = [rest if colon and word == "eq" else value]
    return lambda image: image.get(name) in allowed


def _tag(_name: str, value: str) -> Test:
    return lambda image: value in image["tags"]


def _not_hidden(name: str, value: str) -> Test:
    if value.lower() != "false":
        raise ImageBadRequest(f"The embedded image API lists nothing but {name}=false")
    return lambda _image: True


def _member_status(value: str) -> str:
    if value not in _MEMBER_STATUSES:
        raise ImageBadRequest(f"Invalid status: {value}")
    return value


def _visibility(_name: str, value: str) -> Test:
    if value not in {"community", "public", "private", "shared", "all"}:
        raise ImageBadRequest(f"Invalid visibility value: {value}")
    return lambda image: value in {"all", image["visibility"]}


def _protected(_name: str, value: str) -> Test:
    if value.lower() not in {"true", "false"}:
        raise ImageBadRequest(f"Invalid value '{value}' for 'protected' filter.")
    return lambda image: image["protected"] == (value.lower() == "true")


def _time(name: str, value: str) -> Test:
    word, _, text = value.partition(":")
    compare, text = (_OPERATORS[word], text) if word in _OPERATORS else (operator.eq, value)
    try:
        moment = iso8601.parse_date(text)
    except iso8601.ParseError as error:
        raise ImageBadRequest(
            f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.'
        ) from error
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
    "os_hidden": _not_hidden,
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
