"""Errors that each HTTP API here renders in its own form."""

import logging
from collections.abc import Callable

from flask import Blueprint, Flask, Response
from werkzeug.exceptions import HTTPException

Render = Callable[[int, str | None], Response]

_log = logging.getLogger(__name__)


class HTTPError(Exception):
    """Refuse a request; a message of None means the API's default for the status."""

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def register_errors(target: Flask | Blueprint, render: Render) -> None:
    """Render refusals, Flask's own errors and unexpected exceptions in the form of an API.

    `render` gets a status and a message, None for the status's default.
    """

    def http_exception(error: HTTPException) -> Response:
        original = error.get_response()
        response = render(original.status_code, None)
        if allow := original.headers.get("Allow"):
            response.headers["Allow"] = allow
        return response

    def unexpected(_error: Exception) -> Response:
        _log.exception("unexpected error")  # the client learns nothing of the cause
        return render(500, None)

    target.register_error_handler(HTTPError, lambda error: render(error.status, error.message))
    target.register_error_handler(HTTPException, http_exception)
    target.register_error_handler(Exception, unexpected)
