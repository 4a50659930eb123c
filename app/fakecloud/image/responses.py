"""Responses and errors in Glance's form, for everything below the image API's path."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from markupsafe import escape

from nova_image_shim.adapters.image_port import ImageBadRequest, ImageNotFound
from nova_image_shim.translation.ascii_json import JSON, to_json

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


def glance_answer(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(to_json(body), status, content_type=JSON)


def glance_error(status: int, message: str | None = None) -> Response:
    """Return a page, or `{"message", "code": "404 Not Found", "title": "Not Found"}`.

    As with Glance, a client that does not prefer JSON gets the page: glanceclient reads only that.
    """
    phrase = HTTPStatus(status).phrase
    message = message or _TEXTS.get(status, phrase)
    code = f"{status} {phrase}"
    if request.accept_mimetypes.best_match(["text/html", JSON], "text/html") == JSON:
        text = f"{message}<br /><br />\n\n\n"
        return glance_answer({"message": text, "code": code, "title": phrase}, status)
    page = _PAGE.format(code=code, message=escape(message))
    return Response(page, status, content_type="text/html; charset=UTF-8")


def register_glance_errors(blueprint: Blueprint) -> None:
    """Render the port's errors that a blueprint's views raise."""
    blueprint.register_error_handler(ImageBadRequest, lambda error: glance_error(400, error.text))
    blueprint.register_error_handler(ImageNotFound, _image_not_found)


def _image_not_found(_error: ImageNotFound) -> Response:
    image_id = (request.view_args or {}).get("image_id")
    return glance_error(404, f"No image found with ID {image_id}")
