"""One table from what went wrong to the legacy fault, and the handlers that use it.

Source: nova at 12.0.0, nova/api/openstack/wsgi.py, Fault; the default texts are webob's.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from flask import Flask, Response
from marshmallow import ValidationError

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.api.schemas.list_query import first_message
from nova_image_shim.auth.errors import Unauthenticated
from nova_image_shim.translation.ascii_json import JSON, to_json
from nova_image_shim.web.errors import HTTPError, register_errors
from nova_image_shim.web.retirement import BrownedOut

_log = logging.getLogger(__name__)

FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}

_MALFORMED = (
    "The server could not comply with the request since it is either malformed or "
    "otherwise incorrect."
)
_GONE = "The image calls of the compute API are being switched off. Use the image service."
_ERRED = "The server has either erred or is incapable of performing the requested operation."
DEFAULT_MESSAGES = {
    400: _MALFORMED,
    401: (
        "This server could not verify that you are authorized to access the document you "
        "requested. Either you supplied the wrong credentials (e.g., bad password), or your "
        "browser does not understand how to supply the credentials required."
    ),
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    405: _MALFORMED,
    409: "There was a conflict when trying to complete your request.",
    413: "The body of your request was too large for this server.",
    415: _MALFORMED,
    429: "This request was rate-limited.",
    503: "The server is currently unavailable. Please try again at a later time.",
}


class Row(NamedTuple):
    """What a port error is answered with; `message` None means the error's own text."""

    status: int
    message: str | None


def _default(status: int) -> Row:
    return Row(status, DEFAULT_MESSAGES.get(status, _ERRED))


PORT_ERRORS: dict[type[port.ImageServiceError], Row] = {
    port.ImageBadRequest: Row(400, None),
    port.MarkerNotFound: Row(400, None),
    port.ImageNotAuthenticated: _default(401),
    port.ImageNotAuthorized: Row(403, None),
    port.ImageNotFound: Row(404, "Image not found."),
    port.ImageConflict: Row(409, None),
    port.ImageQuotaExceeded: _default(413),
    port.ImageServiceBusy: _default(429),
    port.ImageServiceFailed: _default(500),
    port.ImageServiceUnavailable: _default(503),
}


class Fault(HTTPError):
    """A refusal by the legacy API; the fault's name follows from the status."""


def fault_response(
    status: int, message: str | None = None, *, retry_after: str | None = None
) -> Response:
    """Return a fault: `{"FAULT": {"code": N, "message": "..."}}`.

    Args:
        status: the HTTP status, from which the fault's name follows.
        message: the text; None or empty for the status's default.
        retry_after: passed on as the header, and for 413 and 429 as `retryAfter`, too.
    """
    body: dict[str, object] = {
        "code": status,
        "message": message or DEFAULT_MESSAGES.get(status, _ERRED),
    }
    response = Response(status=status, content_type=f"{JSON}; charset=UTF-8")
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
        if status in {413, 429}:
            body["retryAfter"] = retry_after
    response.set_data(to_json({FAULT_NAMES.get(status, "computeFault"): body}))
    return response


def register_error_handlers(app: Flask, www_authenticate_uri: Callable[[], str]) -> None:
    """Make every error that a view raises, and every one of Flask's own, a legacy fault.

    Args:
        app: the application.
        www_authenticate_uri: says during a request where a client gets a token, for the
            `WWW-Authenticate` header.
    """

    def challenge() -> str:
        return f'Keystone uri="{www_authenticate_uri()}"'

    def unauthenticated(_error: Unauthenticated) -> Response:
        message = "The request you have made requires authentication."
        error = {"code": 401, "title": "Unauthorized", "message": message}
        headers = {"WWW-Authenticate": challenge()}
        return Response(to_json({"error": error}), 401, headers, content_type=JSON)

    def port_error(error: port.ImageServiceError) -> Response:
        row = PORT_ERRORS[type(error)]
        level = logging.WARNING if row.status >= 500 else logging.INFO
        _log.log(level, "%s: %s", type(error).__name__, error)
        message = error.text if row.message is None else row.message
        response = fault_response(row.status, message, retry_after=error.retry_after)
        if row.status == 401:
            response.headers["WWW-Authenticate"] = challenge()
        return response

    register_errors(app, fault_response)
    app.register_error_handler(Unauthenticated, unauthenticated)
    app.register_error_handler(port.ImageServiceError, port_error)
    app.register_error_handler(KeystoneUnavailable, _keystone_unavailable)
    app.register_error_handler(ValidationError, _validation_error)
    app.register_error_handler(BrownedOut, _browned_out)


def _keystone_unavailable(error: KeystoneUnavailable) -> Response:
    _log.error("the token could not be validated: %s", error)
    return fault_response(503, retry_after=error.retry_after)


def _validation_error(error: ValidationError) -> Response:
    return fault_response(400, first_message(error))


def _browned_out(error: BrownedOut) -> Response:
    return fault_response(error.status, _GONE if error.status == 410 else None)
