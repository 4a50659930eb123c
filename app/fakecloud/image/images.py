"""The images of the embedded image API and their tags.

Source: glance at 33.0.0, glance/api/v2/images.py and image_tags.py.
"""

import uuid
from typing import Any, cast
from urllib.parse import unquote_to_bytes, urlencode

from flask import Blueprint, Response, request
from webob import exc

from nova_image_shim.adapters.image_port import Image, ImageBadRequest
from nova_image_shim.adapters.memory.policy import has_role
from nova_image_shim.adapters.memory.service import require_storable
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.image import access
from nova_image_shim.fakecloud.image.changes import (
    READ_ONLY,
    apply_changes,
    is_reserved,
    read_changes,
    require_within_limits,
)
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.web.current import compute_base, make_context
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("images", __name__)

_NEVER_GIVEN = ("direct_url", "self", "file", "schema", "stores")
_LONGEST_NAME = 255
_UNDECODABLE = (
    "Error decoding your request. Either the URL or the request body contained characters that "
    "could not be decoded by Glance"
)


@blueprint.get("/images")
def index() -> Response:
    """List images: 200 `{"images", "first", "schema"}` and `next` if a page is full; 400, 403."""
    if not has_role(make_context(), "reader"):
        raise access.not_authorized("get_images")
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError as error:
        raise access.bad_request(_UNDECODABLE) from error
    pairs = request.args.items(multi=True)
    images, next_marker = current_cloud().image_service.find(make_context(), pairs)
    links = {"next": _page_path(next_marker)} if next_marker else {}
    links |= {"first": _page_path(None), "schema": "/v2/schemas/images"}
    return json_response({"images": [_shown(image) for image in images], **links})


@blueprint.post("/images")
def create() -> Response:
    """Create an image without data: 201, the image, `Location`.

    Errors: 400 for an invalid body, 403 for a forbidden attribute, 409 for an id that is or was
    used, 413 for too many tags or properties.
    """
    image = cast("Image", _new_image(access.load_body()))
    access.store().add(StoredImage(image, {}))
    location = f"{compute_base()}/image/v2/images/{image['id']}"
    return json_response(_shown(image), 201, {"Location": location})


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
        stored = access.change(image_id, lambda old, now: apply_changes(old, changes, now))
    return json_response(_shown(stored.image))


@blueprint.delete("/images/<image_id>")
def delete(image_id: str) -> Response:
    """Delete an image and its data: 204; 403 if it is protected or another project's; 404."""
    access.require("delete_image", access.find(image_id, "Failed to find image {} to delete"))
    current_cloud().image_service.delete(make_context(), image_id)
    return access.done()


@blueprint.route("/images/<image_id>/tags/<tag>", methods=["PUT", "DELETE"])
def change_tag(image_id: str, tag: str) -> Response:
    """Add or delete a tag: 204; 404 for an image or a tag that there is not."""
    is_added = request.method == "PUT"
    if is_added:
        access.require_valid({"tags": [tag]})
    access.require("modify_image", access.find(image_id, access.NOT_FOUND))

    def changed(stored: StoredImage, now: str) -> StoredImage:
        old = cast("dict[str, Any]", stored.image)["tags"]
        if not is_added and tag not in old:
            raise exc.HTTPNotFound
        tags = [each for each in old if each != tag or is_added]
        tags += [tag] * (is_added and tag not in old)
        text = f"Image tag limit exceeded for image {image_id}: {{}}:"
        access.require_quota("tags", len(tags), text)
        try:
            require_storable({"tags": tags})
        except ImageBadRequest as error:
            raise access.bad_request(f"Could not update image: {error}") from error
        return access.with_attributes(stored, now, tags=tags)

    access.change(image_id, changed)
    return access.done()


@blueprint.get("/schemas/<any(image, images, member, members):name>")
def show_schema(name: str) -> Response:
    """Show the schema of an image, a member, or a list of them: 200."""
    return json_response(access.SCHEMAS[name])


def _new_image(body: Any) -> dict[str, Any]:
    """Return a new image with the attributes in a body, or raise what Glance answers."""
    for name in _NEVER_GIVEN:
        if name in body:
            raise access.forbidden(f"Attribute '{name}' is read-only.")
    if not isinstance(body, dict):
        raise access.bad_request("Request body must be a JSON object.")
    access.require_valid(body)
    for name in body.keys() - access.PROPERTIES.keys():
        if len(name) > _LONGEST_NAME:
            text = f"Custom property should not be greater than {_LONGEST_NAME} characters."
            raise access.bad_request(text)
        if is_reserved(name):
            raise exc.HTTPForbidden(f"Attribute '{name}' is reserved.")
    access.require_creation(body)
    for name in READ_ONLY:
        if name in body and name != "id" and not name.startswith("os_hash"):
            raise access.forbidden(f"Attribute '{name}' is read-only.")
    if "locations" in body:
        raise access.forbidden("Attribute 'locations' is reserved.")
    image = _complete({**body, "tags": list(dict.fromkeys(body.get("tags", ())))})
    require_within_limits({**image, "tags": body.get("tags", ())})
    require_storable(body)
    return image


def _complete(given: dict[str, Any]) -> dict[str, Any]:
    """Return a new image with all attributes; Glance ignores hashes that are given."""
    usual = {"id": str(uuid.uuid4()), "owner": make_context().project_id, "visibility": "shared"}
    own = {"status": "queued", "created_at": current_cloud().now()}
    bare = complete({**usual, **own})
    del bare["members"]  # which may be the name of a property
    image = {**bare, **given, "os_hash_algo": None, "os_hash_value": None}
    return {**image, "owner": image["owner"] or None}


def _shown(image: Image) -> dict[str, Any]:
    found, path = cast("dict[str, Any]", image), f"/v2/images/{image['id']}"
    links = {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}
    custom = {key: found[key] or "" for key in found if key != "locations"}
    return {**custom, **{key: found.get(key) for key in access.PROPERTIES}, **links}


def _page_path(marker: str | None) -> str:
    """Return the path of a page as Glance returns it: without host and prefix."""
    pairs = dict(request.args.items(multi=True))
    pairs.pop("marker", None)
    query = urlencode(pairs | ({"marker": marker} if marker else {}))
    return f"/v2/images?{query}" if query else "/v2/images"
