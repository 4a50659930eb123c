"""The metadata of one image: `/images/{id}/metadata` and `…/metadata/{key}`.

A write calls Glance once to get the image and at most once to patch the keys that change.

Source: nova at 12.0.0, nova/api/openstack/compute/legacy_v2/image_metadata.py.
"""

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, g, request

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.image_port import Changes, Context, Image
from nova_image_shim.api import microversions
from nova_image_shim.api.context import api_version, require_own_project
from nova_image_shim.api.images import get_image
from nova_image_shim.api.schemas import metadata, metadata_v21
from nova_image_shim.api.schemas.metadata import MetadataRules
from nova_image_shim.translation.ascii_json import JSON, VND_JSON, to_json
from nova_image_shim.translation.metadata_changes import (
    RESERVED,
    ReservedKey,
    is_bookkeeping,
    to_changes,
)
from nova_image_shim.translation.translator import to_metadata
from nova_image_shim.web.current import make_context, services, settings
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import answer, no_content

blueprint = Blueprint("image_metadata", __name__)

_BODY_TYPES = {"", "text/plain", JSON, VND_JSON}
_TOO_MANY_ITEMS = "Image metadata limit exceeded"


@blueprint.before_request
def read_body() -> None:
    """Read and parse the body before the project is checked, as Nova does."""
    if request.method in {"POST", "PUT"}:
        if request.mimetype not in _BODY_TYPES:
            raise HTTPError(415, "Unsupported Content-Type")
        limit = settings().max_body_bytes
        request.max_content_length = limit + 1  # Flask truncates a chunked body without an error
        data = request.get_data(cache=False)
        if len(data) > limit:
            raise HTTPError(413)
        g.body = _rules().parse_body(data)
    require_own_project()


@blueprint.get("/images/<image_id>/metadata")
def index(image_id: str) -> Response:
    """List an image's metadata: 200 `{"metadata": {...}}`; 404 if the image does not exist."""
    return answer(to_json({"metadata": _metadata_of(get_image(make_context(), image_id))}))


@blueprint.get("/images/<image_id>/metadata/<key>")
def show(image_id: str, key: str) -> Response:
    """Show one item: 200 `{"meta": {KEY: value}}`; 404 if the image or key does not exist."""
    items = _metadata_of(get_image(make_context(), image_id))
    if key not in items:
        raise HTTPError(404)
    return answer(to_json({"meta": {key: items[key]}}))


@blueprint.post("/images/<image_id>/metadata")
def create(image_id: str) -> Response:
    """Add or overwrite items: 200 with all of the image's metadata.

    Faults: 400 for an invalid body, 403 for one of Glance's keys, another project's image or too
    many items, 404 if the image does not exist, 415 for an unsupported body type.
    """
    items = _rules().load_metadata(g.body)
    return answer(to_json({"metadata": _metadata_of(_write(image_id, items))}))


@blueprint.put("/images/<image_id>/metadata")
def update_all(image_id: str) -> Response:
    """Replace all metadata: 200 with the items sent. Faults: as for `create`."""
    items = _rules().load_metadata(g.body)
    _write(image_id, items, replace_all=True)
    return answer(to_json({"metadata": items}))


@blueprint.put("/images/<image_id>/metadata/<key>")
def update(image_id: str, key: str) -> Response:
    """Set one item: 200 with the item sent. Faults: as for `create`."""
    item = _rules().load_meta(g.body, key)
    _write(image_id, item)
    return answer(to_json({"meta": item}))


@blueprint.delete("/images/<image_id>/metadata/<key>")
def delete(image_id: str, key: str) -> Response:
    """Remove one item: 204; 404 for an unknown image or key, 403 for another project's image."""
    if key in RESERVED:  # an attribute, not metadata
        raise HTTPError(404, "Invalid metadata key")
    if is_bookkeeping(key):
        raise _not_authorized(image_id)
    context = make_context()
    if key not in _metadata_of(get_image(context, image_id)):
        raise HTTPError(404, "Invalid metadata key")
    with suppress(port.ImageConflict):  # another client has removed it in the meantime
        _change(context, image_id, Changes(remove=[key]))
    return no_content()


def _metadata_of(image: Image) -> dict[str, Any]:
    return to_metadata(image, raw_mappings="raw-block-device-mapping" in settings().compat)


def _rules() -> MetadataRules:
    return metadata_v21.RULES if api_version() == microversions.MOUNT else metadata.RULES


def _write(image_id: str, items: dict[str, Any], *, replace_all: bool = False) -> Image:
    if RESERVED & items.keys():
        raise _not_authorized(image_id)
    context = make_context()
    image = get_image(context, image_id)
    try:
        changes, count = to_changes(image, items, replace_all=replace_all)
    except ReservedKey as error:
        raise _not_authorized(image_id) from error
    if 0 <= settings().metadata_limit < count:
        raise HTTPError(403, _TOO_MANY_ITEMS)
    return _change(context, image_id, changes) if changes else image


def _change(context: Context, image_id: str, changes: Changes) -> Image:
    try:
        return services().images.update(context, image_id, changes)
    except port.ImageNotAuthorized as error:
        raise _not_authorized(image_id) from error
    except port.ImageQuotaExceeded as error:
        raise HTTPError(403, _TOO_MANY_ITEMS) from error


def _not_authorized(image_id: str) -> HTTPError:
    return HTTPError(403, f"Not authorized for image {image_id}.")
