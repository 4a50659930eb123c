"""What the views of both versions share: the identity, the token, responses and errors."""

import logging
from typing import Any

from flask import Response, request
from werkzeug.http import HTTP_STATUS_CODES

from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.identity.identity import Identity, Named, Token, Unauthorized
from nova_image_shim.fakecloud.seed import User
from nova_image_shim.web.current import www_authenticate_uri
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import json_response

_log = logging.getLogger(__name__)

_MESSAGES = {
    401: "The request you have made requires authentication.",
    404: "The resource could not be found.",
    405: "The method is not allowed for the requested URL.",
    413: "Request is too large.",
}


def identity() -> Identity:
    """Return the running application's identity."""
    return current_cloud().identity


def own_token() -> Token:
    """Return the request's token.

    Raises:
        Unauthorized: it is missing or invalid.
    """
    return identity().require(request.headers.get("X-Auth-Token", "").strip())


def subject(token_id: str) -> Token:
    """Return a token that the bearer of another one asks about.

    Raises:
        Unauthorized: the request's own token is missing or invalid.
        HTTPError: 404; the token in question is invalid.
    """
    own_token()
    if token := identity().validate(token_id):
        return token
    raise HTTPError(404, "Failed to validate token")


def user_or_404(user_id: str, message: str) -> User:
    """Return a user by id, or raise a 404 with a message."""
    try:
        return identity().user(Named(id=user_id))
    except Unauthorized as error:
        raise HTTPError(404, message) from error


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


def unauthorized(error: Unauthorized) -> Response:
    """Log the reason; the client is told no more than Keystone tells."""
    _log.info("401: %.255s", error)  # it names what the client sent
    return keystone_error(401)
