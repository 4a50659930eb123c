"""Responses and errors in Keystone's form, for everything below the identity's paths."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Response

from nova_image_shim.fakecloud.identity.identity import Unauthorized
from nova_image_shim.translation.ascii_json import JSON, to_json
from nova_image_shim.web.current import www_authenticate_uri

_log = logging.getLogger(__name__)

MESSAGES = {
    401: "The request you have made requires authentication.",
    404: "The resource could not be found.",
    405: "The method is not allowed for the requested URL.",
    413: "Request is too large.",
}


def keystone_answer(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(to_json(body), status, {"Vary": "X-Auth-Token"}, content_type=JSON)


def keystone_error(status: int, message: str | None = None) -> Response:
    """Return `{"error": {"code": N, "message": "...", "title": "..."}}`.

    Args:
        status: the HTTP status, from which the title follows.
        message: the text; None for the status's own.
    """
    title = HTTPStatus(status).phrase
    error = {"code": status, "message": message or MESSAGES.get(status, title), "title": title}
    response = keystone_answer({"error": error}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{www_authenticate_uri()}"'
    return response


def unauthorized(error: Unauthorized) -> Response:
    """Log the reason; the client is told no more than Keystone tells."""
    _log.info("401: %.255s", error)  # it names what the client sent
    return keystone_error(401)
