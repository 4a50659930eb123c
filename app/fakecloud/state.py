"""From the Flask request to the embedded cloud that it came to."""

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
    """Return the token that the request came with.

    Raises:
        Unauthorized: there is none, or no good one.
    """
    token = identity().validate(request.headers.get("X-Auth-Token", "").strip())
    if token is None:
        raise Unauthorized("X-Auth-Token holds no good token")
    return token
