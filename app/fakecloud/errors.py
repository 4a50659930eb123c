"""Errors of the embedded cloud, in the form of the service that a path belongs to."""

from collections.abc import Callable

from flask import Response, request

from nova_image_shim.api.errors import fault_response
from nova_image_shim.fakecloud.identity.responses import keystone_error
from nova_image_shim.fakecloud.image.responses import glance_error

_RENDERERS = {
    "identity": keystone_error,
    "v3": keystone_error,
    "v2.0": keystone_error,
    "image": glance_error,
}


def renderer_for(path: str) -> Callable[[int, str | None], Response]:
    """Return the function that renders a status and a text, None for the status's default."""
    service = path.split("/")[1] if "/" in path else ""
    return _RENDERERS.get(service, fault_response)


def render_error(status: int, message: str | None) -> Response:
    """Render an error of the current request."""
    return renderer_for(request.path)(status, message)
