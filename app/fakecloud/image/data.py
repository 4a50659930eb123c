"""The data of the embedded image API's images, and the actions that withhold and release it.

Source: glance at 33.0.0, glance/api/v2/image_data.py and image_actions.py, glance/location.py,
ImageProxy.set_data, and glance/common/wsgi.py, get_range_from_request.
"""

import sys
from collections.abc import Iterator
from typing import Any, cast

from flask import Blueprint, Response, request
from oslo_utils.imageutils import format_inspector
from webob import byterange, exc

from nova_image_shim.adapters.image_port import ImageNotFound
from nova_image_shim.adapters.memory.data import CHUNK_BYTES, ImageData
from nova_image_shim.adapters.memory.policy import is_admin
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.image import access
from nova_image_shim.web.current import make_context

blueprint = Blueprint("data", __name__)

_OCTETS = "application/octet-stream"
_DEACTIVATED = "The requested image has been deactivated. Image data download is forbidden."
_DELETED = (
    "Image {} could not be found after upload. The image may have been deleted during the upload, "
    "cleaning up the chunks uploaded."
)
_MANY_RANGES = (
    "Requests with multiple ranges are not supported in Glance. You may make multiple single-range "
    "requests instead."
)
_ONE_STORE = "Store selection for download is not available when multiple backends are not enabled."
_ACTIONS = {"deactivate": ("active", "deactivated"), "reactivate": ("deactivated", "active")}


@blueprint.put("/images/<image_id>/file")
def upload(image_id: str) -> Response:
    """Give a queued image its data: 204.

    Errors: 400 for another size than announced or missing formats, 403, 404, 409 for an image that
    has data, 410 for one that is deleted meanwhile, 413 for too much data, 415 for another type,
    or for data that is not of the image's `disk_format`.
    """
    sent = request.headers.get("Content-Type", "None").partition(";")[0]
    if sent != _OCTETS:  # the case of the letters counts
        raise exc.HTTPUnsupportedMediaType(f"Invalid content type {sent}")
    try:
        size = int(request.headers.get("X-Openstack-Image-Size", request.content_length or 0))
    except ValueError as error:
        text = "Invalid or missing image size in request headers."
        raise access.bad_request(text) from error
    access.require("upload_image", access.find(image_id))
    stored = access.change(image_id, _begin)
    found: dict[str, Any] = {"status": "queued"}
    try:
        found = _receive(cast("dict[str, Any]", stored.image), size)
    finally:
        _end(image_id, found)
    return access.done()


def _begin(stored: StoredImage, now: str) -> StoredImage:
    """Return a queued image as one whose data is arriving."""
    image = cast("dict[str, Any]", stored.image)
    if image["status"] != "queued":
        text = f"Image status transition from {image['status']} to saving is not allowed"
        raise exc.HTTPConflict(explanation=text)
    if missing := [name for name in ("disk_format", "container_format") if not image.get(name)]:
        what = "Properties" if len(missing) > 1 else "Property"
        raise access.bad_request(f"{what} {', '.join(missing)} must be set prior to saving data.")
    return access.with_attributes(stored, now, status="saving")


def _receive(image: dict[str, Any], size: int) -> dict[str, Any]:
    """Return what the data of the request adds to an image."""
    request.max_content_length = sys.maxsize  # data has a bound of its own
    inspected = format_inspector.InspectWrapper(request.stream)
    data = current_cloud().files.receive(inspected.read, size)
    inspected.close()
    is_bare = image["container_format"] == "bare"
    return {
        "data": data,
        "status": "active",
        "checksum": data.md5,
        "os_hash_algo": "sha512",
        "os_hash_value": data.sha512,
        "size": data.size,
        "virtual_size": (is_bare and _virtual_size(inspected, image["disk_format"])) or None,
    }


def _virtual_size(inspected: format_inspector.InspectWrapper, disk_format: str) -> int:
    """Return the size of the disk in this data, 0 if that is not known; 415 for another format."""
    try:
        formats = {str(found): found for found in inspected.formats or ()}
        found: Any = formats["iso"] if formats.keys() == {"iso", "gpt"} else inspected.format
        size = _size_as(disk_format, found)
        found.safety_check()
    except format_inspector.ImageFormatError as error:
        raise exc.HTTPUnsupportedMediaType(str(error)) from error
    except format_inspector.SafetyCheckFailed as error:
        fatal = error.failures.keys() - ({"mbr"} if disk_format in {"aki", "ari"} else set())
        if found.NAME != "gpt" or fatal:
            raise exc.HTTPUnsupportedMediaType("Image failed safety checks") from error
    return size


def _size_as(disk_format: str, found: Any) -> int:
    if str(found) == disk_format:
        return int(found.virtual_size)
    if disk_format == "raw":
        return int(found.actual_size)
    if str(found) == "raw" and disk_format not in format_inspector.ALL_FORMATS:
        return 0  # such as `ami`, which has no signature
    text = f"Image disk_format {disk_format} does not match stream data {found}"
    raise format_inspector.ImageFormatError(text)


def _end(image_id: str, found: dict[str, Any]) -> None:
    """Store what an upload found, and answer 410 if the image is gone."""
    data: ImageData | None = found.pop("data", None)
    try:
        access.change(
            image_id,
            lambda stored, now: access.with_attributes(stored._replace(data=data), now, **found),
        )
    except ImageNotFound as error:
        raise exc.HTTPGone(explanation=_DELETED.format(image_id)) from error


@blueprint.get("/images/<image_id>/file")
def download(image_id: str) -> Response:
    """Return the data of an image, or a range of it: 200 or 206; 204 if there is none.

    Errors: 400 for several ranges, 403 for a deactivated image, 404, 416 for an invalid range.
    """
    stored = access.find(image_id)
    if stored.image["status"] == "deactivated" and not is_admin(make_context()):
        raise access.forbidden(_DEACTIVATED)
    access.require("download_image", stored)
    if request.args.get("prefer", "").strip(", "):
        raise access.bad_request(_ONE_STORE)
    if (data := stored.data) is None:
        return access.done(None)
    status, headers = 200, {"Content-MD5": data.md5}
    start, stop = 0, data.size
    if "Range" in request.headers:
        start, stop = _range(request.headers["Range"], data.size)
        status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{data.size}"
    headers["Content-Length"] = str(stop - start)
    return Response(_chunks(data, start, stop), status, headers, content_type=_OCTETS)


def _chunks(data: ImageData, start: int, stop: int) -> Iterator[bytes]:
    with data.open() as file:
        file.seek(start)
        for position in range(start, stop, CHUNK_BYTES):
            yield file.read(min(CHUNK_BYTES, stop - position))


def _range(text: str, size: int) -> tuple[int, int]:
    """Return the first byte of a range and the one after its last."""
    if "," in text:
        raise access.bad_request(_MANY_RANGES)
    if (found := byterange.Range.parse(text)) is None:
        raise exc.HTTPRequestRangeNotSatisfiable("Invalid Range header.")
    if found.start >= size:
        raise exc.HTTPRequestRangeNotSatisfiable(
            "Invalid start position in Range header. "
            f"Start position MUST be in the inclusive range [0, {size - 1}]."
        )
    start = max(size + found.start, 0) if found.start < 0 else found.start
    return start, min(found.end or size, size)


@blueprint.post("/images/<image_id>/actions/<any(deactivate, reactivate):action>")
def act(image_id: str, action: str) -> Response:
    """Withhold the data of an active image, or release it: 204; 403 for another status."""
    access.require(action, access.find(image_id))

    def changed(stored: StoredImage, now: str) -> StoredImage:
        status, (before, after) = stored.image["status"], _ACTIONS[action]
        if status not in {before, after}:
            raise access.forbidden(f"Not allowed to {action} image in status '{status}'")
        return stored if status == after else access.with_attributes(stored, now, status=after)

    access.change(image_id, changed)
    return access.done()
