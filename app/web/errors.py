"""Errors that each HTTP API here renders in its own form."""

import logging
from collections.abc import Callable

from flask import Blueprint, Flask, Response
from werkzeug.exceptions import HTTPException

Render = Callable[[int, str | None], Response]

_log = logging.getLogger(__name__)


class HTTPError(Exception):
    """A refusal of a request.

    Args:
        status: the HTTP status.
        message: the text; None for the API's default of the status.
    """

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def register_errors(target: Flask | Blueprint, render: Render) -> None:
    """Render refusals, Flask's own errors and unexpected exceptions in the form of an API.

    Args:
        target: the application or the blueprint.
        render: takes a status and a text, None for the status's default, and returns the response.
    """

    def http_exception(error: HTTPException) -> Response:
        original = error.get_response()
        response = render(original.status_code, None)
        if allow := original.headers.get("Allow"):
            response.headers["Allow"] = allow
        return response

    def unexpected(_error: Exception) -> Response:
        """Log everything and tell the client nothing of the cause."""
        _log.exception("unexpected error")
        return render(500, None)

    target.register_error_handler(HTTPError, lambda error: render(error.status, error.message))
    target.register_error_handler(HTTPException, http_exception)
    target.register_error_handler(Exception, unexpected)
