"""JSON on the wire: ASCII bytes, whatever the images hold.

Clients of 2015 guess the charset of a body that names none, so every byte is ASCII. orjson
writes UTF-8; only what is not ASCII is escaped after it.
"""

from __future__ import annotations

import codecs
import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON = "application/json"
VND_JSON = "application/vnd.openstack.compute+json"

_ESCAPED = "nova_image_shim.json_escaped"  # the name of the handler below, to codecs
_SMALL_BYTES = 2**20  # sent at once: three pieces are three system calls, and packets


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
    return data.decode().encode("ascii", _ESCAPED)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for a run of characters that are not ASCII, and where it ends."""
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    return encode_basestring_ascii(run)[1:-1], error.end


codecs.register_error(_ESCAPED, _escape)


def to_elements(values: list[Any]) -> bytes:
    """Return the elements of a JSON array, without its brackets."""
    return to_json(values)[1:-1]


def to_json_list(name: str, pages: Iterable[bytes], tail: dict[str, Any]) -> list[bytes]:
    """Return `{"NAME": [...], **tail}` in pieces, or in one where it is small.

    What is large is not put together, which would take its size in memory once more.

    Args:
        name: the key of the list.
        pages: as `to_elements` gives them.
        tail: further keys of the object.
    """
    pieces = [b'{"%s":[' % name.encode()]
    for page in filter(None, pages):
        pieces += [b",", page]
    del pieces[1:2]  # no comma before the first
    pieces.append(b"]," + to_json(tail)[1:] if tail else b"]}")
    return pieces if sum(map(len, pieces)) > _SMALL_BYTES else [b"".join(pieces)]
