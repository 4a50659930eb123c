"""Responses in Keystone's form, and its errors.

Source: keystone at 8.0.0, keystone/common/wsgi.py, render_exception.
"""

import logging
from typing import Any

from flask import Response
from werkzeug.http import HTTP_STATUS_CODES

from nova_image_shim.adapters.identity_port import IdentityError
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.web.current import www_authenticate_uri
from nova_image_shim.web.responses import json_response

_log = logging.getLogger(__name__)

_MESSAGES = {
    401: "The request you have made requires authentication.",
    404: "The resource could not be found.",
    405: "The method is not allowed for the requested URL.",
    413: "Request is too large.",
}
_AWAY = "The identity service is currently unavailable. Please try again at a later time."
_LONGEST_RETRY = 5  # digits


def keystone_answer(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON response."""
    return json_response(body, status, {"Vary": "X-Auth-Token"})


def keystone_error(status: int, message: str | None = None) -> Response:
    """Return `{"error": {"code": N, "message": "...", "title": "..."}}`.

    Args:
        status: the HTTP status, from which the title follows.
        message: the text; None for the status's own.
    """
    title = HTTP_STATUS_CODES[status]
    error = {"code": status, "message": message or _MESSAGES.get(status, title), "title": title}
    response = keystone_answer({"error": error}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{www_authenticate_uri()}"'
    return response


def refused(error: IdentityError) -> Response:
    """Return the response to a request that the identity service refuses."""
    return keystone_error(error.status, error.message)


def unavailable(error: KeystoneUnavailable) -> Response:
    """Log why Keystone is away and return a 503 that says when to retry."""
    _log.error("identity v2.0: %s", error)
    response = keystone_error(503, _AWAY)
    given = error.retry_after or ""
    is_seconds = given.isdecimal() and given.isascii() and len(given) <= _LONGEST_RETRY
    response.headers["Retry-After"] = given if is_seconds else "1"
    return response
