"""JSON on the wire: ASCII bytes, whatever the images hold.

Clients of 2015 guess the charset of a body that names none, so every byte is ASCII. orjson
writes UTF-8; only what is not ASCII is escaped after it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON = "application/json"
VND_JSON = "application/vnd.openstack.compute+json"

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def to_json(value: Any) -> bytes:
    r"""Return a value as JSON in ASCII, non-ASCII characters as `\uXXXX` surrogate pairs.

    What orjson refuses (integers over 64 bits, lone surrogates) goes the standard library's way,
    so that one odd image never fails a list.
    """
    try:
        data = orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
    if data.isascii():
        return data
    return _NOT_ASCII.sub(lambda run: json.dumps(run[0])[1:-1], data.decode()).encode()


def to_json_list(name: str, chunks: Iterable[bytes], tail: dict[str, Any]) -> bytes:
    """Return `{"NAME": [...], **tail}` of JSON arrays that are already bytes.

    Args:
        name: the key of the list.
        chunks: JSON arrays as `to_json` gives them, whose elements become one list.
        tail: further keys of the object.
    """
    elements = b",".join(chunk[1:-1] for chunk in chunks if chunk != b"[]")
    end = b"," + to_json(tail)[1:] if tail else b"}"
    return b'{"%s":[%s]%s' % (name.encode(), elements, end)
