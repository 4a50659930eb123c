"""Errors that each HTTP API here renders in its own form."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Flask, Response, request
from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA
from werkzeug.exceptions import HTTPException

Render = Callable[[int, str | None], Response]

_log = logging.getLogger(__name__)
_STEPS_INTO_A_DICT = ("key", "value")


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


def renderer_for(path: str, renderers: Mapping[str, Render], default: Render) -> Render:
    """Return what renders the errors of a path, by its first segment."""
    return renderers.get(path.split("/")[1] if "/" in path else "", default)


def render_by_path(renderers: Mapping[str, Render], default: Render) -> Render:
    """Return a `Render` that chooses another one by the path of the current request."""

    def render(status: int, message: str | None) -> Response:
        return renderer_for(request.path, renderers, default)(status, message)

    return render


def first_error(error: ValidationError) -> tuple[list[Any], str]:
    """Return the path, keys and indexes, and the text of the first message."""
    messages: Any = error.messages
    path: list[Any] = []
    while isinstance(messages, dict):
        step, messages = next(iter(messages.items()))
        if step != SCHEMA and not (path and step in _STEPS_INTO_A_DICT):
            path.append(step)
    return path, messages[0]
