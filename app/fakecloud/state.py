"""The current request's embedded cloud, its identity and its token."""

from flask import current_app, request

from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.identity.identity import Identity, Token, Unauthorized


def cloud() -> FakeCloud:
    """Return the running application's cloud."""
    found: FakeCloud = current_app.extensions["fake_cloud"]
    return found


def identity() -> Identity:
    """Return the running application's identity."""
    return cloud().identity


def own_token() -> Token:
    """Return the request's token.

    Raises:
        Unauthorized: it is missing or invalid.
    """
    token = identity().validate(request.headers.get("X-Auth-Token", "").strip())
    if token is None:
        raise Unauthorized("X-Auth-Token has no valid token")
    return token
