"""Version documents of the identity, and logins that clients send to their addresses.

Source: keystone at 30.0.0, keystone/api/discovery.py, for v3; keystone at 8.0.0,
keystone/version/controllers.py, for v2.0.
"""

from typing import Any

from flask import Blueprint, Response, request

from nova_image_shim.fakecloud.identity import v2, v3
from nova_image_shim.translation.ascii_json import JSON, to_json
from nova_image_shim.web.current import compute_base

blueprint = Blueprint("identity_versions", __name__)

_UPDATED = {"v3": "2020-04-07T00:00:00Z", "v2.0": "2014-04-17T00:00:00Z"}
_GUIDE = {
    "rel": "describedby",
    "type": "text/html",
    "href": "https://developer.openstack.org/api-ref/identity/v2/content",
}


@blueprint.get("/identity")
@blueprint.get("/identity/")
def index() -> Response:
    """List both versions: 300 `{"versions": {"values": [...]}}`."""
    values = [_document(version) for version in _UPDATED]
    headers = {"Location": values[0]["links"][0]["href"]}
    body = {"versions": {"values": values}}
    return Response(to_json(body), 300, headers, content_type=JSON)


@blueprint.get("/v3")
@blueprint.get("/v3/")
@blueprint.get("/v2.0")
@blueprint.get("/v2.0/")
@blueprint.get("/identity/v3")
@blueprint.get("/identity/v3/")
@blueprint.get("/identity/v2.0")
@blueprint.get("/identity/v2.0/")
def show() -> Response:
    """Show a version: 200 `{"version": {...}}`."""
    version = request.path.rstrip("/").rpartition("/")[2]
    return Response(to_json({"version": _document(version)}), content_type=JSON)


@blueprint.post("/identity")
@blueprint.post("/identity/")
@blueprint.post("/v3")
@blueprint.post("/v2.0")
@blueprint.post("/identity/v3")
@blueprint.post("/identity/v3/")
@blueprint.post("/identity/v2.0")
@blueprint.post("/identity/v2.0/")
def log_in() -> Response:
    """Log in at a version document; the body determines the version.

    libcloud before 3.0 sends logins here, as it adds nothing to an address that has a path. With
    Keystone, which returns 405, its users configure an address that ends in `/v2.0/tokens`.
    Source: libcloud at v2.8.3, libcloud/common/openstack_identity.py, `morph_action_hook`.
    """
    body = request.get_json(silent=True)
    auth = body.get("auth") if isinstance(body, dict) else None
    is_v3 = isinstance(auth, dict) and "identity" in auth
    return v3.issue() if is_v3 else v2.issue()


def _document(version: str) -> dict[str, Any]:
    """Return the document of `v3` or `v2.0`."""
    type_ = f"application/vnd.openstack.identity-{version}+json"
    links = [{"rel": "self", "href": f"{compute_base()}/identity/{version}/"}]
    return {
        "id": "v3.14" if version == "v3" else version,
        "status": "stable",  # v2.0, too: some clients skip a deprecated version
        "updated": _UPDATED[version],
        "links": links if version == "v3" else [*links, _GUIDE],
        "media-types": [{"base": "application/json", "type": type_}],
    }
