"""JSON as ASCII bytes.

A JSON response names no charset and clients from 2015 guess one, so non-ASCII characters are
escaped. orjson cannot do that: it writes UTF-8, and the non-ASCII characters are escaped after it,
which takes as long as all the rest. The names of a list, which many clouds have in their users'
language, are therefore escaped one by one.
"""

import codecs
import json
from collections.abc import Iterable
from itertools import islice
from json.encoder import encode_basestring_ascii
from typing import Any

import orjson

JSON = "application/json"
VND_JSON = "application/vnd.openstack.compute+json"

_ESCAPED = "nova_image_shim.json_escaped"  # the name of the codec error handler below
_AT_A_TIME = 50
_SMALL_BYTES = 2**20  # joined into one piece, since each piece costs a system call and a packet


def to_json(value: Any) -> bytes:
    r"""Return a value as ASCII JSON, with non-ASCII characters escaped as `\uXXXX`.

    The standard library encodes values that orjson refuses (integers over 64 bits, lone
    surrogates), so that one odd image does not fail a list.
    """
    try:
        data = orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
    return data if data.isascii() else _escaped(data)


def _escaped(data: bytes) -> bytes:
    return data.decode().encode("ascii", _ESCAPED)


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    return encode_basestring_ascii(run)[1:-1], error.end


codecs.register_error(_ESCAPED, _escape)


def to_elements(images: Iterable[dict[str, Any]]) -> bytes:
    """Return images, each with a name or None, as a JSON array without its brackets.

    They are taken and encoded in batches that fit into the processor's cache.
    """
    rest, written = iter(images), []
    while some := list(islice(rest, _AT_A_TIME)):
        written.append(_to_elements(some))
    return b",".join(written)


def _to_elements(images: list[dict[str, Any]]) -> bytes:
    names = []
    for image in images:
        if (name := image["name"]) and not name.isascii():
            names.append((image, name))
            image["name"] = orjson.Fragment(encode_basestring_ascii(name))
    try:
        data = orjson.dumps(images)[1:-1]
    except TypeError:  # the standard library, which takes no fragments, encodes these
        for image, name in names:
            image["name"] = name
        return to_json(images)[1:-1]
    return data if data.isascii() else _escaped(data)


def to_json_list(name: str, pages: Iterable[bytes], tail: dict[str, Any]) -> list[bytes]:
    """Return `{"NAME": [...], **tail}` in pieces, or in one piece if it is small.

    Each page is made by `to_elements`. Joining a large list would need its memory twice.
    """
    pieces = [b'{"%s":[' % name.encode()]
    for page in filter(None, pages):
        pieces += [b",", page]
    del pieces[1:2]  # no comma before the first page
    pieces.append(b"]," + to_json(tail)[1:] if tail else b"]}")
    return pieces if sum(map(len, pieces)) > _SMALL_BYTES else [b"".join(pieces)]
