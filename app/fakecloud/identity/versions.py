"""Version documents of the identity, and logins that clients send to their addresses.

Source: keystone at 30.0.0, keystone/api/discovery.py, for v3; keystone at 8.0.0,
keystone/version/controllers.py, for v2.0.
"""

from typing import Any

from flask import Blueprint, Response, request

from nova_image_shim.fakecloud.identity import v2, v3
from nova_image_shim.web.current import compute_base
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("identity_versions", __name__)

_UPDATED = {"v3": "2020-04-07T00:00:00Z", "v2.0": "2014-04-17T00:00:00Z"}
_GUIDE = {
    "rel": "describedby",
    "type": "text/html",
    "href": "https://developer.openstack.org/api-ref/identity/v2/content",
}


def index() -> Response:
    """List both versions: 300 `{"versions": {"values": [...]}}`."""
    values = [_document(version) for version in _UPDATED]
    headers = {"Location": values[0]["links"][0]["href"]}
    return json_response({"versions": {"values": values}}, 300, headers)


def show(identity_version: str) -> Response:
    """Show a version: 200 `{"version": {...}}`."""
    return json_response({"version": _document(identity_version)})


def log_in(**_identity_version: str) -> Response:
    """Log in at a version document; the body determines the version.

    libcloud before 3.0 sends logins here, as it adds nothing to an address that has a path. With
    Keystone, which returns 405, its users configure an address that ends in `/v2.0/tokens`.
    Source: libcloud at v2.8.3, libcloud/common/openstack_identity.py, `morph_action_hook`.
    """
    body = request.get_json(silent=True)
    auth = body.get("auth") if isinstance(body, dict) else None
    is_v3 = isinstance(auth, dict) and "identity" in auth
    return v3.issue() if is_v3 else v2.issue()


blueprint.get("/identity")(index)
blueprint.post("/identity")(log_in)
for _root in ("", "/identity"):  # some clients drop the path of the address
    _path = f"{_root}/<any('v3', 'v2.0'):identity_version>"
    blueprint.get(_path)(show)
    blueprint.post(_path)(log_in)


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
