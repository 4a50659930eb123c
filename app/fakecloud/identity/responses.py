"""What both versions of the embedded identity share: the identity, the token and errors."""

import logging

from flask import Response, request

from nova_image_shim.adapters.identity_port import Named
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.identity.identity import Identity, Token, Unauthorized
from nova_image_shim.fakecloud.seed import User
from nova_image_shim.identity_v2.responses import keystone_error
from nova_image_shim.web.errors import HTTPError

_log = logging.getLogger(__name__)


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


def unauthorized(error: Unauthorized) -> Response:
    """Log the reason; the client is told no more than Keystone tells."""
    _log.info("401: %.255s", error)  # it names what the client sent
    return keystone_error(401)
