"""Answers and errors in Glance's own form, for everything below the image API's path."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, request
from markupsafe import escape
from werkzeug.exceptions import HTTPException

from nova_image_shim.adapters.image_port import ImageBadRequest, ImageNotFound
from nova_image_shim.translation.ascii_json import JSON, to_json

if TYPE_CHECKING:
    from flask import Blueprint

_TEXTS = {
    404: "The embedded image API has nothing at this path.",
    405: "The embedded image API has no such method here.",
}
_PAGE = """\
<html>
 <head>
  <title>{code}</title>
 </head>
 <body>
  <h1>{code}</h1>
  {message}<br /><br />
 </body>
</html>
"""


class GlanceError(Exception):
    """A refusal with a status and a text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def glance_answer(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(to_json(body), status, content_type=JSON)


def glance_error(status: int, message: str) -> Response:
    """Return a page, or `{"message", "code": "404 Not Found", "title": "Not Found"}`.

    As with Glance, whom JSON is all the same to gets the page: glanceclient reads no other.
    """
    phrase = HTTPStatus(status).phrase
    code = f"{status} {phrase}"
    if request.accept_mimetypes.best_match(["text/html", JSON], "text/html") == JSON:
        text = f"{message}<br /><br />\n\n\n"
        return glance_answer({"message": text, "code": code, "title": phrase}, status)
    page = _PAGE.format(code=code, message=escape(message))
    return Response(page, status, content_type="text/html; charset=UTF-8")


def from_http_exception(error: HTTPException) -> Response:
    """Answer what Flask itself refuses: no route, a wrong method (with `Allow`)."""
    original = error.get_response()
    status = original.status_code
    response = glance_error(status, _TEXTS.get(status, error.name))
    if allow := original.headers.get("Allow"):
        response.headers["Allow"] = allow
    return response


def register_glance_errors(blueprint: Blueprint) -> None:
    """Make the errors that a blueprint's views raise Glance's."""
    blueprint.register_error_handler(
        GlanceError, lambda error: glance_error(error.status, error.message)
    )
    blueprint.register_error_handler(ImageBadRequest, lambda error: glance_error(400, error.text))
    blueprint.register_error_handler(ImageNotFound, _image_not_found)
    blueprint.register_error_handler(HTTPException, from_http_exception)


def _image_not_found(_error: ImageNotFound) -> Response:
    image_id = (request.view_args or {}).get("image_id")
    return glance_error(404, f"No image found with ID {image_id}")
