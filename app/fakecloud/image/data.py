"""The embedded image API's data of images, and the actions that open and close it to others.

Source: glance at 33.0.0, glance/api/v2/image_data.py and image_actions.py, glance/location.py,
ImageProxy.set_data, and glance/common/wsgi.py, get_range_from_request.
"""

from collections.abc import Iterator
from typing import Any, NoReturn, cast

from flask import Blueprint, Response, request
from oslo_utils.imageutils import format_inspector
from webob import byterange, exc

from nova_image_shim.adapters.image_port import Image, ImageNotFound
from nova_image_shim.adapters.memory.data import CHUNK_BYTES, ImageData
from nova_image_shim.adapters.memory.policy import is_admin
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.image import access
from nova_image_shim.web.current import make_context

blueprint = Blueprint("data", __name__)

_OCTETS = "application/octet-stream"
_FORMATS = ("disk_format", "container_format")
_DEACTIVATED = "The requested image has been deactivated. Image data download is forbidden."
_DELETED = (
    "Image {} could not be found after upload. The image may have been deleted during the upload, "
    "cleaning up the chunks uploaded."
)
_MANY_RANGES = (
    "Requests with multiple ranges are not supported in Glance. You may make multiple single-range "
    "requests instead."
)
_ACTIONS = {"deactivate": ("active", "deactivated"), "reactivate": ("deactivated", "active")}


@blueprint.put("/images/<image_id>/file")
def upload(image_id: str) -> Response:
    """Give a queued image its data: 204.

    Errors: 400 for another size than announced or missing formats, 403, 404, 409 for an image that
    has data, 410 for one that is deleted meanwhile, 413 for too much data, 415 for another type,
    or for data that is not of the image's `disk_format`.
    """
    if request.mimetype != _OCTETS:
        sent = request.mimetype if "Content-Type" in request.headers else None
        raise exc.HTTPUnsupportedMediaType(f"Invalid content type {sent}")
    announced = _announced_size()
    access.require("upload_image", access.find(image_id))
    stored = access.store().change(image_id, _begin)
    try:
        found = _receive(stored.image, announced)
    except BaseException:
        _set(image_id, status="queued", size=None, virtual_size=None)
        raise
    if not _set(image_id, **found, status="active"):
        raise exc.HTTPGone(explanation=_DELETED.format(image_id))
    return Response(status=204)


def _announced_size() -> int:
    """Return the announced bytes, 0 if there is no number of them."""
    try:
        return int(request.headers.get("X-Openstack-Image-Size", request.content_length or 0))
    except ValueError as error:
        text = "Invalid or missing image size in request headers."
        raise exc.HTTPBadRequest(explanation=text) from error


def _begin(stored: StoredImage) -> StoredImage:
    """Return a queued image as one whose data is arriving."""
    image = cast("dict[str, Any]", stored.image)
    if (status := image["status"]) != "queued":
        text = f"Image status transition from {status} to saving is not allowed"
        raise exc.HTTPConflict(explanation=text)
    if missing := [name for name in _FORMATS if not image.get(name)]:
        what = "Properties" if len(missing) > 1 else "Property"
        text = f"{what} {', '.join(missing)} must be set prior to saving data."
        raise exc.HTTPBadRequest(explanation=text)
    return _changed(stored, status="saving")


def _receive(image: Image, announced: int) -> dict[str, Any]:
    """Return what the data of the request adds to an image."""
    request.max_content_length = None  # it has a bound of its own
    inspected = format_inspector.InspectWrapper(request.stream)
    data = current_cloud().files.receive(inspected, announced)
    inspected.close()
    fields = cast("dict[str, Any]", image)
    is_bare = fields["container_format"] == "bare"
    virtual_size = _virtual_size(inspected, fields["disk_format"]) if is_bare else 0
    hashes = {"checksum": data.md5, "os_hash_algo": "sha512", "os_hash_value": data.sha512}
    return {**hashes, "size": data.size, "virtual_size": virtual_size or None, "data": data}


def _virtual_size(inspected: format_inspector.InspectWrapper, disk_format: str) -> int:
    """Return the size that a disk with this data has, 0 if that is not known.

    Raises:
        HTTPUnsupportedMediaType: the data is of another format, or unsafe.
    """
    try:
        found = {str(each): each for each in inspected.formats or ()}
        inspector: Any = found["iso"] if found.keys() == {"iso", "gpt"} else inspected.format
        size = _size_as(disk_format, inspector)
        inspector.safety_check()
    except format_inspector.ImageFormatError as error:
        raise exc.HTTPUnsupportedMediaType(str(error)) from error
    except format_inspector.SafetyCheckFailed as error:
        left = error.failures.keys() - ({"mbr"} if disk_format in {"aki", "ari"} else set())
        if inspector.NAME != "gpt" or left:
            raise exc.HTTPUnsupportedMediaType("Image failed safety checks") from error
    return size


def _size_as(disk_format: str, inspector: Any) -> int:
    if str(inspector) == disk_format:
        return int(inspector.virtual_size)
    if str(inspector) == "raw" and disk_format not in format_inspector.ALL_FORMATS:
        return 0  # such as `ami`, which has no signature
    if disk_format == "raw":
        return int(inspector.actual_size)
    raise format_inspector.ImageFormatError(
        f"Image disk_format {disk_format} does not match stream data {inspector}"
    )


def _set(image_id: str, **changes: Any) -> bool:
    """Change an image, and tell whether it is still there."""
    try:
        access.store().change(image_id, lambda stored: _changed(stored, **changes))
    except ImageNotFound:
        return False
    return True


def _changed(stored: StoredImage, *, data: ImageData | None = None, **changes: Any) -> StoredImage:
    image = {**stored.image, **changes, "updated_at": current_cloud().now()}
    return stored._replace(image=cast("Image", image), data=data or stored.data)


@blueprint.get("/images/<image_id>/file")
def download(image_id: str) -> Response:
    """Return the data of an image, or a range of it: 200 or 206; 204 if there is none.

    Errors: 400 for several ranges, 403 for a deactivated image, 404, 416 for an invalid range.
    """
    stored = access.find(image_id)
    if stored.image["status"] == "deactivated" and not is_admin(make_context()):
        raise exc.HTTPForbidden(explanation=_DEACTIVATED)
    access.require("download_image", stored)
    if (data := stored.data) is None:
        return Response(status=204)
    asked = _range(data.size)
    start, stop = asked or (0, data.size)
    headers = {"Content-MD5": data.md5, "Content-Length": str(stop - start)}
    if asked:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{data.size}"
    chunks = _chunks(data, start, stop)
    return Response(chunks, 206 if asked else 200, headers, content_type=_OCTETS)


def _chunks(data: ImageData, start: int, stop: int) -> Iterator[bytes]:
    with data.open() as file:
        file.seek(start)
        for position in range(start, stop, CHUNK_BYTES):
            yield file.read(min(CHUNK_BYTES, stop - position))


def _range(size: int) -> tuple[int, int] | None:
    """Return the first byte of the requested range and the one after its last, None for all."""
    if (text := request.headers.get("Range")) is not None:
        return _from_range(text, size)
    if (text := request.headers.get("Content-Range")) is not None:  # Glance reads this, too
        return _from_content_range(text, size)
    return None


def _from_range(text: str, size: int) -> tuple[int, int]:
    if "," in text:
        raise exc.HTTPBadRequest(explanation=_MANY_RANGES)
    if (found := byterange.Range.parse(text)) is None:
        raise exc.HTTPRequestRangeNotSatisfiable("Invalid Range header.")
    if found.start >= size:
        _refuse("start position in Range header. Start", size)
    start = max(size + found.start, 0) if found.start < 0 else found.start
    return start, min(found.end or size, size)


def _from_content_range(text: str, size: int) -> tuple[int, int]:
    found = byterange.ContentRange.parse(text)
    if found is None or found.start is None:
        raise exc.HTTPRequestRangeNotSatisfiable("Invalid Content-Range header.")
    if found.length is None and found.stop > size:
        _refuse("stop position in Content-Range header. The stop", size)
    if found.start >= size:
        _refuse("start position in Content-Range header. Start", size)
    return found.start, found.stop


def _refuse(what: str, size: int) -> NoReturn:
    raise exc.HTTPRequestRangeNotSatisfiable(
        f"Invalid {what} position MUST be in the inclusive range [0, {size - 1}]."
    )


@blueprint.post("/images/<image_id>/actions/<any(deactivate, reactivate):action>")
def act(image_id: str, action: str) -> Response:
    """Forbid or allow others the download of an active image: 204; 403 for another status."""
    access.require(action, access.find(image_id))
    before, after = _ACTIONS[action]

    def change(stored: StoredImage) -> StoredImage:
        status = stored.image["status"]
        if status not in {before, after}:
            text = f"Not allowed to {action} image in status '{status}'"
            raise exc.HTTPForbidden(explanation=text)
        return stored if status == after else _changed(stored, status=after)

    access.store().change(image_id, change)
    return Response(status=204)
