"""The query of the embedded image API's list: filters, order, page.

Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer, and glance/db/utils.py for
the operators.
"""

from __future__ import annotations

import csv
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import iso8601

from nova_image_shim.fakecloud.image.responses import GlanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from werkzeug.datastructures import MultiDict

    Test = Callable[[Mapping[str, Any]], bool]

_USUAL_LIMIT, _MAX_LIMIT = 25, 1000  # Glance's limit_param_default and api_limit_max
_SORT_KEYS = """
    name status container_format disk_format size id created_at updated_at
""".split()
_PAGING = {"limit", "marker", "sort", "sort_key", "sort_dir"}
_MEMBER_STATUSES = {"pending", "accepted", "rejected", "all"}
_NUMBERS = ("size", "min_ram", "min_disk")
_OPERATORS = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """A checked query.

    Args:
        tests: what an image must pass, all of them.
        order: attributes to sort by, and whether the greatest comes first.
        limit: the most images wanted.
        marker: the id after which the page begins.
        member_status: the images shared with the caller that are wanted: those whose membership
            is `accepted`, `pending` or `rejected`, or `all`.
    """

    tests: Sequence[Test]
    order: Sequence[tuple[str, bool]]
    limit: int
    marker: str | None
    member_status: str

    @classmethod
    def of(cls, args: MultiDict[str, str]) -> ImageQuery:
        """Return the query that a request's parameters make.

        Raises:
            GlanceError: 400; one of them is wrong, or is none that the embedded API knows.
        """
        apart = {*_PAGING, "member_status"}
        given = [(name, value) for name, value in args.items(multi=True) if name not in apart]
        return cls(
            tests=[_test(name, value.strip()) for name, value in given],
            order=_order(args),
            limit=min(_number("limit", args.get("limit", str(_USUAL_LIMIT))), _MAX_LIMIT),
            marker=args.get("marker"),
            member_status=_member_status(args.get("member_status", "accepted")),
        )

    def page(self, images: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], bool]:
        """Return the page of these images, and whether it is full.

        Args:
            images: all that may be listed, and the marker's image.
        """
        ordered = list(images)
        for key, descending in reversed(self.order):
            ordered.sort(key=lambda image: _sort_value(image, key), reverse=descending)
        if self.marker:
            position = [image["id"] for image in ordered].index(self.marker)
            ordered = ordered[position + 1 :]
        found = [image for image in ordered if all(test(image) for test in self.tests)]
        return found[: self.limit], 0 < self.limit <= len(found)


def _order(args: MultiDict[str, str]) -> list[tuple[str, bool]]:
    """Return what to sort by; where that is equal, time and id decide, as they do at Glance."""
    if "sort" in args:
        pairs = [item.partition(":")[::2] for item in args["sort"].split(",")]
    else:
        keys = args.getlist("sort_key") or ["created_at"]
        directions = args.getlist("sort_dir") or ["desc"]
        if len(directions) == 1:
            directions *= len(keys)
        if len(directions) != len(keys):
            raise GlanceError(400, "Number of sort dirs does not match the number of sort keys")
        pairs = list(zip(keys, directions, strict=True))
    order = [_sort_pair(key.strip(), direction.strip() or "desc") for key, direction in pairs]
    return [*order, ("created_at", order[-1][1]), ("id", order[-1][1])]


def _sort_pair(key: str, direction: str) -> tuple[str, bool]:
    if key not in _SORT_KEYS:
        raise GlanceError(
            400,
            f"Invalid sort key: {key}. It must be one of the following: {', '.join(_SORT_KEYS)}.",
        )
    if direction not in {"asc", "desc"}:
        raise GlanceError(400, f"Invalid sort direction: {direction}")
    return key, direction == "desc"


def _sort_value(image: Mapping[str, Any], key: str) -> tuple[bool, Any]:
    value = image.get(key)
    return value is not None, value


def _test(name: str, value: str) -> Test:
    """Return the check that a parameter makes.

    Raises:
        GlanceError: 400; its value is wrong, or asks for what the embedded API does not list.
    """
    make = _TESTS.get(name, _any_of)
    return make(name, value)


def _any_of(name: str, value: str) -> Test:
    wanted = _words(value)
    return lambda image: image.get(name) in wanted


def _tag(_name: str, value: str) -> Test:
    return lambda image: value in image["tags"]


def _only(usual: str) -> Callable[[str, str], Test]:
    def make(name: str, value: str) -> Test:
        if value.lower() != usual:
            raise GlanceError(400, f"The embedded image API lists nothing but {name}={usual}")
        return lambda _image: True

    return make


def _member_status(value: str) -> str:
    if value not in _MEMBER_STATUSES:
        raise GlanceError(400, f"Invalid status: {value}")
    return value


def _visibility(_name: str, value: str) -> Test:
    if value not in {"community", "public", "private", "shared", "all"}:
        raise GlanceError(400, f"Invalid visibility value: {value}")
    return lambda image: value in {"all", image["visibility"]}


def _protected(_name: str, value: str) -> Test:
    if value.lower() not in {"true", "false"}:
        raise GlanceError(400, f"Invalid value '{value}' for 'protected' filter.")
    return lambda image: image["protected"] == (value.lower() == "true")


def _time(name: str, value: str) -> Test:
    word, _, text = value.partition(":")
    compare, text = (_OPERATORS[word], text) if word in _OPERATORS else (operator.eq, value)
    try:
        moment = iso8601.parse_date(text)
    except iso8601.ParseError as error:
        raise GlanceError(
            400, f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.'
        ) from error
    return lambda image: compare(iso8601.parse_date(image[name]), moment)


def _bound(key: str, compare: Callable[[Any, Any], Any]) -> Callable[[str, str], Test]:
    def make(name: str, value: str) -> Test:
        number = _number(name, value)
        return lambda image: image.get(key) is not None and bool(compare(image[key], number))

    return make


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise GlanceError(400, f"{name} param must be an integer of at least 0")
    return int(value)


def _words(value: str) -> list[str]:
    """Return the texts that a value with or without an operator admits."""
    word, colon, rest = value.partition(":")
    if colon and word == "in":
        return next(csv.reader([rest]), [])
    return [rest if colon and word == "eq" else value]


_TESTS: dict[str, Callable[[str, str], Test]] = {
    "os_hidden": _only("false"),
    "visibility": _visibility,
    "protected": _protected,
    "tag": _tag,
    "created_at": _time,
    "updated_at": _time,
    **{key: _bound(key, operator.eq) for key in _NUMBERS},
    **{f"{key}_min": _bound(key, operator.ge) for key in _NUMBERS},
    **{f"{key}_max": _bound(key, operator.le) for key in _NUMBERS},
}
