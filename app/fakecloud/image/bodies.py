"""Read the bodies of requests to the embedded image API.

Source: glance at 33.0.0, glance/common/wsgi.py, JSONRequestDeserializer.
"""

import json
from typing import Any

from flask import request
from webob import exc

_METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}
_CODINGS = {"chunked", "compress", "deflate", "gzip", "identity"}


def has_body() -> bool:
    """Tell whether the request has a body."""
    is_coded = request.headers.get("Transfer-Encoding", "").lower() in _CODINGS
    return (is_coded and request.method in _METHODS_WITH_BODY) or bool(request.content_length)


def load_body() -> Any:
    """Return the JSON object or list of the request's body.

    Raises:
        HTTPBadRequest: there is none.
    """
    if not has_body():
        raise exc.HTTPBadRequest(explanation="Body expected in request.")
    try:
        body = json.loads(request.get_data().decode())
    except (ValueError, RecursionError) as error:
        raise exc.HTTPBadRequest(explanation="Malformed JSON in request body.") from error
    if not isinstance(body, dict | list):
        raise exc.HTTPBadRequest(explanation="Unexpected body type. Expected list/dict.")
    return body


def load_text(name: str, missing: str, example: str) -> Any:
    """Return the value of a key in the request's object.

    Args:
        name: the key.
        missing: the text for an object without it.
        example: the text for anything but an object.

    Raises:
        HTTPBadRequest: the body or the key is missing or invalid.
    """
    body = load_body()
    if not isinstance(body, dict):
        raise exc.HTTPBadRequest(explanation=example)
    if name not in body:
        raise exc.HTTPBadRequest(explanation=missing)
    return body[name]
