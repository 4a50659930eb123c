"""The embedded image API, Glance v2 over the store of the legacy calls: images and their tags.

Source: glance at 33.0.0, glance/api/v2/images.py, image_tags.py and glance/api/versions.py.
"""

import uuid
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from webob import exc

from nova_image_shim.adapters.image_port import (
    Image,
)
from nova_image_shim.adapters.memory.service import require_storable
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.image import access
from nova_image_shim.fakecloud.image.bodies import load_body
from nova_image_shim.fakecloud.image.changes import (
    READ_ONLY,
    apply_changes,
    is_reserved,
    read_changes,
    require_quota,
    require_within_limits,
)
from nova_image_shim.fakecloud.image.schema import PROPERTIES, SCHEMAS, require_valid
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.web.current import compute_base, make_context
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("images", __name__)

_DISALLOWED = ("direct_url", "self", "file", "schema", "stores")
_LONGEST_NAME = 255


@blueprint.get("/images")
def index() -> Response:
    """List images: 200 `{"images", "first", "schema"}` and `next` if a page is full.

    Errors: 400 for an invalid parameter or marker, 403 without a role.
    """
    access.require_listing()
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


@blueprint.post("/images")
def create() -> Response:
    """Create an image without data: 201, the image, `Location`.

    Errors: 400 for an invalid body, 403 for a forbidden attribute, 409 for an id that is or was
    used, 413 for too many tags or properties.
    """
    image = _new_image(load_body())
    access.store().add(StoredImage(cast("Image", image), {}))
    headers = {"Location": f"{compute_base()}/image/v2/images/{image['id']}"}
    return json_response(_shown(cast("Image", image)), 201, headers)


@blueprint.get("/images/<image_id>")
def show(image_id: str) -> Response:
    """Show one image: 200, or 404."""
    stored = access.find(image_id)
    access.require("get_image", stored)
    return json_response(_shown(stored.image))


@blueprint.patch("/images/<image_id>")
def update(image_id: str) -> Response:
    """Change attributes and properties in one step: 200, the image.

    Errors: 400, 403, 404, 409 for a property that there is or is not, 413, 415 for another type.
    """
    changes = read_changes()
    stored = access.find(image_id)
    if changes:
        now = current_cloud().now()
        stored = access.store().change(image_id, lambda old: apply_changes(changes, old, now))
    return json_response(_shown(stored.image))


@blueprint.delete("/images/<image_id>")
def delete(image_id: str) -> Response:
    """Delete an image and its data: 204; 403 if it is protected or another project's; 404."""
    access.require("delete_image", access.find(image_id, "Failed to find image {} to delete"))

    def check(stored: StoredImage) -> None:
        if stored.image["protected"]:
            text = f"Image {image_id} is protected and cannot be deleted."
            raise exc.HTTPForbidden(explanation=text)

    access.store().remove(image_id, check)
    return Response(status=204)


@blueprint.route("/images/<image_id>/tags/<tag>", methods=["PUT", "DELETE"])
def change_tag(image_id: str, tag: str) -> Response:
    """Add or delete a tag: 204; 404 for an image or a tag that there is not."""
    if request.method == "PUT":
        require_valid({"tags": [tag]})
    access.require("modify_image", access.find(image_id, access.NOT_FOUND))

    def change(stored: StoredImage) -> StoredImage:
        old = cast("dict[str, Any]", stored.image)["tags"]
        if request.method == "DELETE" and tag not in old:
            raise exc.HTTPNotFound
        tags = [each for each in old if each != tag or request.method == "PUT"]
        tags += [tag] * (request.method == "PUT" and tag not in old)
        require_quota("tags", len(tags), f"Image tag limit exceeded for image {image_id}: {{}}:")
        require_tags(tags, "Could not update image: ")
        image = {**stored.image, "tags": tags, "updated_at": current_cloud().now()}
        return stored._replace(image=cast("Image", image))

    access.store().change(image_id, change)
    return Response(status=204)


@blueprint.get("/schemas/<any(image, images, member, members):name>")
def show_schema(name: str) -> Response:
    """Show the schema of an image, a member, or a list of them: 200."""
    return json_response(SCHEMAS[name])


def _new_image(body: Any) -> dict[str, Any]:
    """Return a new image with the attributes in a body, or raise what Glance answers."""
    for name in _DISALLOWED:
        if name in body:
            raise exc.HTTPForbidden(explanation=f"Attribute '{name}' is read-only.")
    if not isinstance(body, dict):
        raise exc.HTTPBadRequest(explanation="Request body must be a JSON object.")
    require_valid(body)
    for name in body.keys() - PROPERTIES.keys():
        if len(name) > _LONGEST_NAME:
            text = f"Custom property should not be greater than {_LONGEST_NAME} characters."
            raise exc.HTTPBadRequest(explanation=text)
        if is_reserved(name):
            raise exc.HTTPForbidden(f"Attribute '{name}' is reserved.")
    access.require_creation(body)
    for name in READ_ONLY:
        if name in body and name != "id":
            raise exc.HTTPForbidden(explanation=f"Attribute '{name}' is read-only.")
    if "locations" in body:
        raise exc.HTTPForbidden(explanation="Attribute 'locations' is reserved.")
    usual = {"id": str(uuid.uuid4()), "owner": make_context().project_id, "visibility": "shared"}
    given = {**usual, **body, "status": "queued", "created_at": current_cloud().now()}
    image = {**complete(given), "owner": given["owner"] or None}
    image["tags"] = list(dict.fromkeys(image["tags"]))
    del image["members"]
    require_within_limits(image)
    require_storable(body)
    require_tags(image["tags"])
    return image


def require_tags(tags: list[str], before: str = "") -> None:
    """Refuse characters beyond the basic plane in tags, as for other texts."""
    if any(max(tag, default="") > "\uffff" for tag in tags):
        text = f"{before}Param values can't contain 4 byte unicode."
        raise exc.HTTPBadRequest(explanation=text)


def _shown(image: Image) -> dict[str, Any]:
    path = f"/v2/images/{image['id']}"
    links = {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}
    custom = {
        key: value or ""
        for key, value in image.items()
        if key not in SCHEMAS["image"]["properties"]
    }
    known = {key: cast("dict[str, Any]", image).get(key) for key in PROPERTIES}
    return {**custom, **known, **links}


def _page_path(marker: str | None) -> str:
    """Return the path of a page as Glance returns it: without host and prefix."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
    query = urlencode([*pairs, *([("marker", marker)] if marker else [])])
    return f"/v2/images?{query}" if query else "/v2/images"
