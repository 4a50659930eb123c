"""One table from what went wrong to the legacy fault, and the handlers that use it.

Source: nova at 12.0.0, nova/api/openstack/wsgi.py, Fault; the default texts are webob's.
"""

import logging
import math
from datetime import UTC, datetime
from typing import NamedTuple

from flask import Flask, Response
from marshmallow import ValidationError
from werkzeug.http import parse_date

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.auth.caller import Unauthenticated
from nova_image_shim.translation.ascii_json import JSON, to_json
from nova_image_shim.web.current import www_authenticate_uri
from nova_image_shim.web.errors import register_errors
from nova_image_shim.web.responses import json_response

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
    """The fault for a port error: `{}` in the text is the error's own, None the default."""

    status: int
    text: str | None = None


PORT_ERRORS: dict[type[port.ImageServiceError], Row] = {
    port.ImageBadRequest: Row(400, "{}"),
    port.MarkerNotFound: Row(400, "{}"),
    port.ImageNotAuthenticated: Row(401),
    port.ImageNotAuthorized: Row(403, "{}"),
    port.ImageNotFound: Row(404, "Image not found."),
    port.ImageConflict: Row(409, "{}"),
    port.ImageQuotaExceeded: Row(413),
    port.ImageServiceBusy: Row(429),
    port.ImageServiceFailed: Row(500),
    port.ImageServiceUnavailable: Row(503),
}


def fault_response(
    status: int, message: str | None = None, *, retry_after: str | None = None
) -> Response:
    """Return a fault: `{"FAULT": {"code": N, "message": "..."}}`.

    Without a message it has the status's default. `retry_after`, seconds or a date, becomes the
    header and, for 413 and 429, `retryAfter` in the body: seconds as text.
    """
    message = message or DEFAULT_MESSAGES.get(status, _ERRED)
    body: dict[str, object] = {"code": status, "message": message}
    response = Response(status=status, content_type=f"{JSON}; charset=UTF-8")
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
        if status in {413, 429} and (seconds := _seconds(retry_after)) is not None:
            body["retryAfter"] = seconds
    response.set_data(to_json({FAULT_NAMES.get(status, "computeFault"): body}))
    return response


def _seconds(retry_after: str) -> str | None:
    """Return a `Retry-After` in seconds, None if it is neither seconds nor a date."""
    if retry_after.isdecimal():
        return retry_after
    if (date := parse_date(retry_after)) is None:
        return None
    return str(max(0, math.ceil((date - datetime.now(UTC)).total_seconds())))


def register_error_handlers(app: Flask) -> None:
    """Make every error that a view raises, and every one of Flask's own, a legacy fault."""
    register_errors(app, fault_response)
    app.register_error_handler(Unauthenticated, _unauthenticated)
    app.register_error_handler(port.ImageServiceError, _port_error)
    app.register_error_handler(KeystoneUnavailable, _keystone_unavailable)
    app.register_error_handler(ValidationError, _validation_error)


def _unauthenticated(hint: Unauthenticated) -> Response:
    if hint.args:
        _log.info("401: %s", hint)
    message = "The request you have made requires authentication."
    error = {"code": 401, "title": "Unauthorized", "message": message}
    return _challenge(json_response({"error": error}, 401))


def _port_error(error: port.ImageServiceError) -> Response:
    status, text = PORT_ERRORS[type(error)]
    level = logging.WARNING if status >= 500 else logging.INFO
    _log.log(level, "%s: %s", type(error).__name__, error)
    message = text and text.format(error.text)
    response = fault_response(status, message, retry_after=error.retry_after)
    return _challenge(response) if status == 401 else response


def _challenge(response: Response) -> Response:
    response.headers["WWW-Authenticate"] = f'Keystone uri="{www_authenticate_uri()}"'
    return response


def _keystone_unavailable(error: KeystoneUnavailable) -> Response:
    _log.error("the token could not be validated: %s", error)
    return fault_response(503, retry_after=error.retry_after)


def _validation_error(error: ValidationError) -> Response:
    # The first error is of the first field, in the schema's order.
    first, *_ = error.normalized_messages().values()  # type: ignore[no-untyped-call]
    return fault_response(400, str(first[0]))
