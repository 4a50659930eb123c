"""The embedded image API: Glance v2 for reading, over the store of the legacy calls.

Some clients look up an image's name here before they call the compute service.

Source: glance at 33.0.0, glance/api/v2/images.py and glance/api/versions.py.
"""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from markupsafe import escape
from werkzeug.exceptions import NotFound
from werkzeug.http import HTTP_STATUS_CODES

from nova_image_shim.adapters.image_port import Image, ImageBadRequest, ImageNotFound
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.image.schema import IMAGE, IMAGES, PROPERTIES
from nova_image_shim.translation.ascii_json import JSON
from nova_image_shim.web.current import compute_base, make_context, services, set_caller
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import json_response

VERSIONS = ("2.9", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")

versions = Blueprint("glance_versions", __name__, url_prefix="/image")
blueprint = Blueprint("glance_v2", __name__, url_prefix="/image/v2")

_HIDDEN = {"locations"}  # Glance does not show them by default
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


@versions.get("")
@versions.get("/")
@versions.get("/v2")
@versions.get("/v2/")
def choices() -> Response:
    """List the versions to choose from: 300 `{"versions": [...]}`."""
    return json_response(_versions(), 300)


@versions.get("/versions")
def list_versions() -> Response:
    """List the versions: 200, the same."""
    return json_response(_versions())


@blueprint.before_request
def identify() -> None:
    """Authenticate as the compute service does."""
    set_caller(current_app.extensions["fake_authenticate"](request, None))


@blueprint.get("/images")
def index() -> Response:
    """List images: 200 `{"images", "first", "schema"}` and `next` if a page is full.

    Errors: 400 for an invalid parameter or marker.
    """
    pairs = [(name, value.strip()) for name, value in request.args.items(multi=True)]
    images, next_marker = current_cloud().image_service.find(make_context(), pairs)
    body = {
        "images": [_shown(image) for image in images],
        "first": _page_path(None),
        "schema": "/v2/schemas/images",
    }
    if next_marker:
        body["next"] = _page_path(next_marker)
    return json_response(body)


@blueprint.get("/images/<image_id>")
def show(image_id: str) -> Response:
    """Show one image: 200, or 404."""
    return json_response(_shown(services().images.get(make_context(), image_id)))


@blueprint.get("/schemas/<any(image, images):name>")
def show_schema(name: str) -> Response:
    """Show the schema of an image or of a list: 200."""
    return json_response(IMAGE if name == "image" else IMAGES)


@blueprint.route("/<path:_path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def refuse(_path: str) -> Response:
    """Refuse all other calls: 404 for a read, 403 for a write."""
    if request.method in {"GET", "HEAD"}:
        raise NotFound
    raise HTTPError(
        403,
        "The embedded image API only reads. Use the compute service's image calls, or the control "
        "plane at /_fake/, to change images.",
    )


def _versions() -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{compute_base()}/image/v2/"}]
    statuses = ["CURRENT", *["SUPPORTED"] * (len(VERSIONS) - 1)]
    return {
        "versions": [
            {"id": f"v{number}", "status": status, "links": links}
            for number, status in zip(VERSIONS, statuses, strict=True)
        ]
    }


def _shown(image: Image) -> dict[str, Any]:
    path = f"/v2/images/{image['id']}"
    links = {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}
    kept = {key: value for key, value in image.items() if key not in _HIDDEN}
    return {**dict.fromkeys(PROPERTIES), **kept, **links}


def _page_path(marker: str | None) -> str:
    """Return the path of a page as Glance returns it: without host and prefix."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
    query = urlencode([*pairs, *([("marker", marker)] if marker else [])])
    return f"/v2/images?{query}" if query else "/v2/images"


def glance_error(status: int, message: str | None = None) -> Response:
    """Return a page, or `{"message", "code": "404 Not Found", "title": "Not Found"}`.

    As with Glance, a client that does not prefer JSON gets the page: glanceclient reads only that.
    """
    phrase = HTTP_STATUS_CODES[status]
    message = message or _TEXTS.get(status, phrase)
    code = f"{status} {phrase}"
    if request.accept_mimetypes.best_match(["text/html", JSON], "text/html") == JSON:
        text = f"{message}<br /><br />\n\n\n"
        return json_response({"message": text, "code": code, "title": phrase}, status)
    page = _PAGE.format(code=code, message=escape(message))
    return Response(page, status, content_type="text/html; charset=UTF-8")


@blueprint.errorhandler(ImageBadRequest)
def bad_request(error: ImageBadRequest) -> Response:
    """Render an invalid query: 400."""
    return glance_error(400, error.text)


@blueprint.errorhandler(ImageNotFound)
def not_found(_error: ImageNotFound) -> Response:
    """Render a missing image: 404."""
    image_id = (request.view_args or {}).get("image_id")
    return glance_error(404, f"No image found with ID {image_id}")
