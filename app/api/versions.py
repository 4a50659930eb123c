"""Version documents, served without a token.

Source: nova at 12.0.0, nova/api/openstack/compute/views/versions.py.
"""

from typing import Any

from flask import Blueprint, Response

from nova_image_shim.api import microversions
from nova_image_shim.api.context import api_version
from nova_image_shim.translation.ascii_json import VND_JSON, to_json
from nova_image_shim.web.current import compute_base, settings
from nova_image_shim.web.responses import answer

blueprint = Blueprint("versions", __name__)


@blueprint.get("/")
def index() -> Response:
    """List the served versions, v2.0 first: 200 `{"versions": [...]}`."""
    mounts = [mount for mount in ("v2", microversions.MOUNT) if mount in settings().mounts]
    return answer(to_json({"versions": [_entry(mount) for mount in mounts]}))


def show() -> Response:
    """Show the version in the path: 200 `{"version": {...}}`; `v1.1` shows v2.0."""
    entry = _entry(api_version())
    html = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    entry["links"].append(html)
    version = entry["id"].removeprefix("v").removesuffix(".0")
    media_type = {"base": "application/json", "type": f"{VND_JSON};version={version}"}
    return answer(to_json({"version": entry | {"media-types": [media_type]}}))


def _entry(mount: str) -> dict[str, Any]:
    if mount == microversions.MOUNT:
        return {
            "id": "v2.1",
            "status": "CURRENT",
            "version": microversions.text(microversions.HIGHEST),
            "min_version": microversions.text(microversions.LOWEST),
            "updated": "2013-07-23T11:33:21Z",
            "links": [{"rel": "self", "href": f"{compute_base()}/v2.1/"}],
        }
    return {
        "id": "v2.0",
        "status": settings().v2_status,
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{compute_base()}/v2/"}],
    }
