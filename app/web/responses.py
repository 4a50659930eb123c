"""What every answer has: its type, its ids, compression where the client asks for it."""

import zlib
from functools import lru_cache

from flask import Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.translation.ascii_json import JSON, VND_JSON

_SMALLEST_BYTES = 1024
_COMPRESSED_TYPES = {JSON, VND_JSON}
_LEVEL = 1  # the least time; JSON lists shrink to a tenth even so
_WBITS = {"gzip": 31, "deflate": 15}  # how zlib is told of the form around the data


def answer(*pieces: bytes) -> Response:
    """Return a JSON answer of the type that the client asked for; any `Accept` gets JSON."""
    response = Response(pieces, content_type=_wanted_type())
    response.content_length = sum(map(len, pieces))
    return response


def no_content() -> Response:
    """Return the answer to a deletion, which names a type without having a body, as Nova's."""
    return Response(status=204, content_type=_wanted_type())


def _wanted_type() -> str:
    return _type_named_first(request.headers.get("Accept", ""))


@lru_cache(maxsize=256)
def _type_named_first(accept: str) -> str:
    """Return the first of our two types that the client names, JSON where it names neither."""
    for named, quality in parse_accept_header(accept, MIMEAccept):
        bare = named.partition(";")[0].strip().lower()
        if quality > 0 and bare in _COMPRESSED_TYPES:
            return bare
    return JSON


def add_request_ids(response: Response) -> Response:
    """Add both headers that clients of old and new look for."""
    request_id = CURRENT.get().request_id
    response.headers["X-Compute-Request-Id"] = request_id
    response.headers["X-Openstack-Request-Id"] = request_id
    return response


def compress(response: Response) -> Response:
    """Compress an answer over 1 KiB with what the client likes best.

    Flask-Compress is not used: it takes `q=0`, which forbids a coding, for a wish.
    """
    if response.mimetype not in _COMPRESSED_TYPES:
        return response
    response.vary.add("Accept-Encoding")
    if (
        response.content_length or 0
    ) <= _SMALLEST_BYTES or "Accept-Encoding" not in request.headers:
        return response
    accepted = request.accept_encodings
    coding = accepted.best_match(_WBITS)
    if coding and accepted.quality(coding) >= accepted.quality("identity"):
        coder = zlib.compressobj(_LEVEL, wbits=_WBITS[coding])
        packed = [coder.compress(piece) for piece in response.iter_encoded()]
        response.set_data(b"".join([*packed, coder.flush()]))
        response.headers["Content-Encoding"] = coding
    return response
