"""Compare two answers field by field, after normalizing what must differ.

A field is `status`, `header/NAME`, `body/POINTER` or `glance/ATTRIBUTE`. Bodies are decompressed
and compared as JSON: objects key by key, unless they share no key; lists of images and links by
`id` and `rel`. If the ids or their order differ, the lists of ids and the common elements are
compared. The order of tags and of parameter names in a link is ignored, but not the order of one
name's values.
If neither service answers, that counts as a difference, because it shows nothing.
"""

import gzip
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

ABSENT = "(absent)"
REQUEST_ID = "(request id)"
TIME = "(time)"
NO_ANSWER = 0

HEADERS = (
    "Allow",
    "Cache-Control",
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


class Answer(NamedTuple):
    """An answer; status 0 means that there was none."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Differences:
    """Return the differences between two results of `normal`, by field."""
    found: Differences = {}
    for name in sorted(expected.keys() | actual.keys()):
        _compare(name, expected.get(name, ABSENT), actual.get(name, ABSENT), found)
    if expected.get("status") == actual.get("status") == NO_ANSWER:
        found["status"] = NO_ANSWER, NO_ANSWER
    return found


def _compare(field: str, one: Any, other: Any, found: Differences) -> None:
    keyed, other_keyed = _keyed(one), _keyed(other)
    if keyed is not None and other_keyed is not None:
        if list(keyed) != list(other_keyed):
            found[field] = list(keyed), list(other_keyed)
        for key in keyed.keys() & other_keyed.keys():
            _compare(f"{field}/{key}", keyed[key], other_keyed[key], found)
        return
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() & other.keys():
        for key in [*one, *(key for key in other if key not in one)]:
            _compare(f"{field}/{key}", one.get(key, ABSENT), other.get(key, ABSENT), found)
    elif _text(one) != _text(other):
        found[field] = one, other


def _text(value: Any) -> str:
    """Return a value as JSON, which tells 1, 1.0 and true apart; in Python they are equal."""
    return json.dumps(value, sort_keys=True)


def _keyed(value: Any) -> dict[str, Any] | None:
    """Return a list of objects as a dictionary by `id` or `rel`, or None if neither is unique."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    for name in ("id", "rel"):
        keyed = {str(item[name]): item for item in value if name in item}
        if len(keyed) == len(value):
            return keyed
    return None


def normal(
    answer: Answer,
    names: Mapping[str, str],
    *,
    times: bool = True,
    compared: Collection[str] = HEADERS,
) -> dict[str, Any]:
    """Return an answer by field, with names in place of values that change between runs.

    Args:
        answer: the answer as received.
        names: the replacement for each value that changes, such as an address or an id.
        times: keep times; otherwise they are replaced as well.
        compared: the headers that matter.
    """
    headers: dict[str, list[str]] = {}
    for name, value in answer.headers:
        headers.setdefault(name.lower(), []).append(value)
    result: dict[str, Any] = {"status": answer.status}
    for name in compared:
        if values := headers.get(name.lower()):
            result[f"header/{name}"] = _header(name, values, names)
    ids = [headers.get(name.lower()) for name in compared if name.endswith("Request-Id")]
    if any(other != ids[0] for other in ids):
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
    except (ValueError, RecursionError):
        pass
    return _rename(data.decode("latin-1"), names)


def clean(value: Any, names: Mapping[str, str], *, times: bool = True) -> Any:
    """Return a JSON value with names in place of values that change between runs."""
    if isinstance(value, dict):
        return {
            _rename(key, names): clean(_ordered(key, item), names, times=times)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [clean(item, names, times=times) for item in value]
    if isinstance(value, str):
        return TIME if not times and _TIME.fullmatch(value) else _rename(value, names)
    return value


def _ordered(key: str, value: Any) -> Any:
    """Return tags sorted, and a URL with its query parameters sorted by name."""
    if key == "tags" and isinstance(value, list):
        return sorted(value, key=str)
    if key != "href":
        return value
    address, mark, query = value.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])
    return address + mark + urlencode(pairs)


def _rename(text: str, names: Mapping[str, str]) -> str:
    for changing, name in names.items():
        text = text.replace(changing, name)
    return text
