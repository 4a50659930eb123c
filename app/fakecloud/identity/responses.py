"""Errors in Keystone's own form, for everything below the identity's paths."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.exceptions import HTTPException

from nova_image_shim.fakecloud.identity.identity import Unauthorized
from nova_image_shim.translation.ascii_json import JSON, to_json
from nova_image_shim.web.current import www_authenticate_uri

if TYPE_CHECKING:
    from flask import Blueprint

_log = logging.getLogger(__name__)

MESSAGES = {
    401: "The request you have made requires authentication.",
    404: "The resource could not be found.",
    405: "The method is not allowed for the requested URL.",
    413: "Request is too large.",
}


class KeystoneError(Exception):
    """A refusal with a status and a text."""

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def keystone_answer(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON answer."""
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


def from_http_exception(error: HTTPException) -> Response:
    """Answer what Flask itself refuses: no route, a wrong method (with `Allow`), a large body."""
    original = error.get_response()
    response = keystone_error(original.status_code)
    if allow := original.headers.get("Allow"):
        response.headers["Allow"] = allow
    return response


def register_keystone_errors(blueprint: Blueprint) -> None:
    """Make the errors that a blueprint's views raise Keystone's."""
    blueprint.register_error_handler(
        KeystoneError, lambda error: keystone_error(error.status, error.message)
    )
    blueprint.register_error_handler(Unauthorized, _unauthorized)
    blueprint.register_error_handler(HTTPException, from_http_exception)


def _unauthorized(error: Unauthorized) -> Response:
    """Tell the log why; the client is told no more than Keystone tells."""
    _log.info("401: %.255s", error)  # it names what the client sent
    return keystone_error(401)
