"""Calls in a log's lines, as the service wrote them or as a runtime or shipper wrapped them.

What a line begins with decides how it is read. Text after that may be a client's: it can neither
turn the line into another one nor hide it.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Any

import orjson

from nova_image_shim.observability.trace import ACCESS_LOGGER
from nova_image_shim.usage.records import AccessRecord, from_json, to_record

Calls = list[AccessRecord]

_DEEPEST = 32  # objects, lists and quotes around a line
_KEYS = ("log", "message", "MESSAGE", "msg", "line")  # looked at first, of all keys
_NAME = re.escape(ACCESS_LOGGER.encode())
# Where a form may begin. The alternatives begin with a literal each: such a search is fast.
_START = re.compile(rb'20\d\d-\d\d-\d\d|\{[\\" ]|\[[\[{ ]|nova-image-shim ready: ')
_TIME = rb"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S{0,16}"  # maybe with a fraction and a time zone
_HEADER = re.compile(_TIME + rb' \d+ [A-Z]+ (?P<logger>\S+) \[|\{\\+"asctime\\+":')
_QUOTED = re.compile(rb'(?:[^"\\]|\\.)*')


def read(line: bytes, depth: int = 0) -> Calls | None:
    """Return the calls in a line, `[]` for another line of the service, None for an unknown one."""
    found = _FORM.match(line) or _form_after_prefix(line)
    if found is None or depth > _DEEPEST:
        return None
    try:
        return _READERS[str(found.lastgroup)](found, depth)
    except (ValueError, KeyError, TypeError):
        return None


def _form_after_prefix(line: bytes) -> re.Match[bytes] | None:
    forms = (_FORM.match(line, start.start()) for start in _START.finditer(line))
    return next(filter(None, forms), None)


def _from_text(found: re.Match[bytes], _depth: int) -> Calls:
    fields = found.group(2, 3, 4, 5, 6, 7, 8)
    return [to_record(*[field.decode(errors="replace") for field in fields])]


def _from_header(found: re.Match[bytes], depth: int) -> Calls | None:
    another = found["logger"] and found["logger"] != ACCESS_LOGGER.encode()
    return [] if another else _from_quotes(found, depth)


def _from_quotes(found: re.Match[bytes] | None, depth: int) -> Calls | None:
    """Read each quoted line, from its header on, in text that is not JSON as a whole."""
    calls: dict[str, Calls] = {}
    while found:
        quoted = _QUOTED.match(found.string, found.start())
        assert quoted is not None
        inner = _parsed(b'"%b"' % quoted[0])
        understood = _from_value(inner, depth)
        if understood is None:
            return None
        calls[inner] = understood
        found = _HEADER.search(found.string, quoted.end())
    return _merged(calls.values())


def _from_json(found: re.Match[bytes], depth: int) -> Calls | None:
    try:
        value = _parsed(found.string[found.start() :])
    except (ValueError, RecursionError):
        return _from_quotes(_HEADER.search(found.string, found.end()), depth)
    return _from_value(value, depth)


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:  # lone surrogates, or a comma behind an entry of a list
        return json.loads(text.decode(errors="replace").rstrip(", \r\n"))


def _from_value(value: Any, depth: int) -> Calls | None:
    """Read a JSON value: a line, an entry of the service's JSON log, or what contains them."""
    depth += 1
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        return _from_object(value, depth)
    if isinstance(value, str):
        return read(value.encode(errors="surrogatepass"), depth)
    if isinstance(value, list):
        return read(bytes(value), depth) if _is_bytes(value) else _from_list(value, depth)
    return None


def _from_object(value: dict[str, Any], depth: int) -> Calls | None:
    if "name" in value and "levelname" in value and "context" in value:
        return [from_json(value)] if value["name"] == ACCESS_LOGGER else []
    keys = sorted(value, key=lambda key: key not in _KEYS)
    inner = (_from_value(value[key], depth) for key in keys)
    return next((calls for calls in inner if calls is not None), None)


def _is_bytes(values: list[Any]) -> bool:
    """Tell whether a list is a line with odd characters, as the journal writes it."""
    return all(isinstance(value, int) and 0 <= value < 256 for value in values)


def _from_list(values: list[Any], depth: int) -> Calls | None:
    several = []
    for value in values:
        calls = _from_value(value, depth)
        if calls is not None:
            several.append(calls)
        elif ACCESS_LOGGER in str(value):
            raise ValueError("one of several calls cannot be understood")
    return _merged(several)


def _merged(several: Collection[Calls]) -> Calls | None:
    """Return all calls, None if nothing was understood."""
    return [call for calls in several for call in calls] if several else None


# What a line begins with, after any prefix, and what reads it: the first that matches.
_FORMS: dict[str, tuple[bytes, Callable[[re.Match[bytes], int], Calls | None]]] = {
    "text": (
        rb"(" + _TIME + rb") \d+ INFO " + _NAME + rb" \[\S+ \S+ (\S+) (.{1,4096}?)\] \S+ "
        rb'"\S+ \S+ \S+" status: (\d{3}) len: \S+ time: \S+ '
        rb"glance_calls: \d+ glance_time: \S+ keystone_calls: \d+ "
        rb"call: (\S+) images: (\d+|-)(?: list: \S+)? client: (\S+) ",
        _from_text,
    ),
    "header": (_HEADER.pattern, _from_header),
    "json": (rb'\{\s*"|\[\s*[\[{]', _from_json),
    # The announcement on standard output, and the journal's own lines.
    "no_call": (rb"nova-image-shim ready: |\A-- ", lambda _found, _depth: []),
}
_READERS = {name: reader for name, (_, reader) in _FORMS.items()}
_FORM = re.compile(
    b"|".join(b"(?P<%b>%b)" % (name.encode(), pattern) for name, (pattern, _) in _FORMS.items())
)
