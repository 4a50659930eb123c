"""What every response has: its type, its ids, and compression if the client accepts it."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

from flask import Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.http import parse_accept_header

from nova_image_shim.lists.body import CODINGS, Body, packed
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.translation.ascii_json import JSON, VND_JSON, to_json

_SMALLEST_BYTES = 1024
_COMPRESSED_TYPES = {JSON, VND_JSON}


def answer(*pieces: bytes) -> Response:
    """Return a JSON response of the type that the client accepts; any `Accept` gets JSON."""
    wanted = _type_named_first(request.headers.get("Accept", ""))
    response = Response(pieces, content_type=wanted)
    response.content_length = sum(map(len, pieces))
    return response


def answer_list(body: Body, *, may_compress: bool) -> Response:
    """Return a response that a client's cache may store: 304 if it has this body already."""
    headers = {"ETag": f'W/"{body.etag}"', "Cache-Control": "private, no-cache"}
    given = request.headers
    if "If-None-Match" in given and request.if_none_match.contains_weak(body.etag):
        response = Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        del response.headers["Content-Type"]
        if may_compress:
            vary(response, "Accept-Encoding")
        return response
    may_compress = may_compress and "Accept-Encoding" in given
    coding = accepted_coding(body.length) if may_compress else None
    response = answer(*([body.packed(coding)] if coding else body.pieces))
    response.headers.update(headers)
    if coding:
        response.headers["Content-Encoding"] = coding
    return response


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response whose type does not depend on the client."""
    return Response(to_json(body), status, headers, content_type=JSON)


def no_content() -> Response:
    """Return the response to a deletion, which has a type but no body, as Nova's has."""
    wanted = _type_named_first(request.headers.get("Accept", ""))
    return Response(status=204, content_type=wanted)


def options() -> Response:
    """Return the response to `OPTIONS`: 200 without a body, to anyone, as Nova's.

    `Allow` has the methods of a path that there is.
    """
    response = Response()
    del response.headers["Content-Type"]
    if isinstance(request.routing_exception, MethodNotAllowed):
        response.allow.update(request.routing_exception.valid_methods or ())
    return response


@lru_cache(maxsize=256)
def _type_named_first(accept: str) -> str:
    """Return the first of our two types that the client names, JSON if it names neither."""
    for named, quality in parse_accept_header(accept, MIMEAccept):
        bare = named.partition(";")[0].strip().lower()
        if quality > 0 and bare in _COMPRESSED_TYPES:
            return bare
    return JSON


def add_request_ids(response: Response) -> None:
    """Add the request id in the headers that old and new clients read."""
    request_id = CURRENT.get().request_id
    response.headers["X-Compute-Request-Id"] = request_id
    response.headers["X-Openstack-Request-Id"] = request_id


def forbid_sharing(response: Response) -> None:
    """Keep a response that depends on the token out of shared caches; call before `vary`.

    A view may have set a `Cache-Control` of its own.
    """
    response.headers.setdefault("Cache-Control", "private, no-store")
    vary(response, "X-Auth-Token")


def vary(response: Response, *names: str) -> None:
    """Add names of request headers to `Vary`; `response.vary` takes three times as long."""
    given = response.headers.get("Vary")
    response.headers["Vary"] = ", ".join([given, *names] if given else names)


def accepted_coding(length: int) -> str | None:
    """Return the coding that the client prefers for a body of so many bytes, None for none.

    Flask-Compress is not used: it takes `q=0`, which forbids a coding, for a preference.
    """
    if length <= _SMALLEST_BYTES or "Accept-Encoding" not in request.headers:
        return None
    accepted = request.accept_encodings
    coding = accepted.best_match(CODINGS)
    is_better = coding and accepted.quality(coding) >= accepted.quality("identity")
    return coding if is_better else None


def compress(response: Response) -> None:
    """Compress a response over 1 KiB, unless it is, with the coding that the client prefers."""
    if response.mimetype not in _COMPRESSED_TYPES:
        return
    vary(response, "Accept-Encoding")
    if "Content-Encoding" in response.headers:
        return
    if coding := accepted_coding(response.content_length or 0):
        response.set_data(packed(response.iter_encoded(), coding))
        response.headers["Content-Encoding"] = coding
