"""What differs between two answers, field by field, once what must differ is made the same.

A field is `status`, `header/NAME`, `body/POINTER` or `glance/ATTRIBUTE`. Bodies are compared as
JSON, whether compressed or not: objects key by key, unless they share no key; lists of images and
of links by `id` and `rel`, unless they hold others or in another order, when the lists of names
differ as wholes. In a link the order of the query's names is no difference, that of the values of
one name is.
"""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .exchange import Answer

ABSENT = "(absent)"
REQUEST_ID = "(request id)"
TIME = "(time)"

HEADERS = (
    "Allow",
    "Content-Encoding",
    "Content-Type",
    "Location",
    "OpenStack-API-Version",
    "Retry-After",
    "Vary",
    "WWW-Authenticate",
    "X-Compute-Request-Id",
    "X-OpenStack-Nova-API-Version",
    "X-OpenStack-Request-Id",
)

_REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

Differences = dict[str, tuple[Any, Any]]


def differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Differences:
    """Return what differs between two results of `normal`, by field."""
    found: Differences = {}
    for name in sorted(expected.keys() | actual.keys()):
        _compare(name, expected.get(name, ABSENT), actual.get(name, ABSENT), found)
    return found


def _compare(field: str, one: Any, other: Any, found: Differences) -> None:
    keyed, other_keyed = _keyed(one), _keyed(other)
    if keyed is not None and other_keyed is not None and list(keyed) == list(other_keyed):
        one, other = keyed, other_keyed
    elif isinstance(one, list) and isinstance(other, list):
        if json.dumps(one) != json.dumps(other):
            found[field] = _names(one), _names(other)
        return
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() & other.keys():
        for key in [*one, *(key for key in other if key not in one)]:
            _compare(f"{field}/{key}", one.get(key, ABSENT), other.get(key, ABSENT), found)
    elif json.dumps(one) != json.dumps(other):  # 1, 1.0 and true are equal only to Python
        found[field] = one, other


def _keyed(value: Any) -> dict[str, Any] | None:
    """Return a list of objects by what identifies each, None where it is no such list."""
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        return None
    for name in ("id", "rel"):
        if all(name in item for item in value):
            return {str(item[name]): item for item in value}
    return None


def _names(values: list[Any]) -> list[Any]:
    keyed = _keyed(values)
    return values if keyed is None else list(keyed)


def normal(answer: Answer, names: Mapping[str, str], *, times: bool) -> dict[str, Any]:
    """Return an answer by field, with names in the place of what differs from run to run.

    Args:
        answer: as it came.
        names: the text that stands for each changing one: addresses, ids.
        times: keep times; else they are made the same, too.
    """
    headers: dict[str, list[str]] = {}
    for name, value in answer.headers:
        headers.setdefault(name.lower(), []).append(value)
    result: dict[str, Any] = {"status": answer.status}
    for name in HEADERS:
        if values := headers.get(name.lower()):
            result[f"header/{name}"] = _header(name, values, names)
    ids = [headers.get(name.lower()) for name in HEADERS if name.endswith("Request-Id")]
    if ids[0] != ids[1]:
        result["header/request ids are one"] = False
    result["body"] = _body(answer, headers, names, times=times)
    return result


def _header(name: str, values: list[str], names: Mapping[str, str]) -> str:
    text = ", ".join(values)
    if name in {"Vary", "Allow"}:
        text = ", ".join(sorted({word.strip() for word in text.split(",")}, key=str.lower))
    if _REQUEST_ID.fullmatch(text):
        return REQUEST_ID
    return _rename(text, names)


def _body(
    answer: Answer, headers: dict[str, list[str]], names: Mapping[str, str], *, times: bool
) -> Any:
    data = answer.body
    if headers.get("content-encoding") == ["gzip"]:
        data = gzip.decompress(data)
    try:
        if "json" in headers.get("content-type", [""])[0]:
            return clean(json.loads(data), names, times=times)
    except ValueError:
        pass
    return _rename(data.decode("latin-1"), names)


def clean(value: Any, names: Mapping[str, str], *, times: bool = True) -> Any:
    """Return a JSON value with names in the place of what changes from run to run."""
    if isinstance(value, dict):
        return {
            _rename(key, names): clean(
                _ordered(item) if key == "href" else item, names, times=times
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [clean(item, names, times=times) for item in value]
    if isinstance(value, str):
        return TIME if not times and _TIME.fullmatch(value) else _rename(value, names)
    return value


def _ordered(href: str) -> str:
    """Return an address with the parameters of its query ordered by name."""
    address, mark, query = href.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])
    return address + mark + urlencode(pairs)


def _rename(text: str, names: Mapping[str, str]) -> str:
    for changing, name in names.items():
        text = text.replace(changing, name)
    return text
