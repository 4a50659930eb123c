"""What every answer has: its type, its ids, compression where the client asks for it."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from flask import Response, request

from nova_image_shim.telemetry import CURRENT
from nova_image_shim.wire import JSON, VND_JSON

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALLEST_BYTES = 1024
_COMPRESSED_TYPES = {JSON, VND_JSON}
_LEVEL = 1  # the least time; JSON lists shrink to a tenth even so
_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, _LEVEL, mtime=0),
    "deflate": lambda data: zlib.compress(data, _LEVEL),
}


def answer(body: bytes, status: int = 200) -> Response:
    """Return a JSON answer of the type that the client asked for; any `Accept` gets JSON."""
    return Response(body, status, content_type=_media_type())


def no_content() -> Response:
    """Return the answer to a deletion, which names a type without having a body, as Nova's."""
    return Response(status=204, content_type=_media_type())


def _media_type() -> str:
    """Return the first of our two types that the client names, JSON where it names neither."""
    for named, quality in request.accept_mimetypes:
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
    accepted = request.accept_encodings
    coding = accepted.best_match(_CODINGS) if accepted else None
    large = (response.content_length or 0) > _SMALLEST_BYTES
    if coding and large and accepted.quality(coding) >= accepted.quality("identity"):
        response.set_data(_CODINGS[coding](response.get_data()))
        response.headers["Content-Encoding"] = coding
    return response
