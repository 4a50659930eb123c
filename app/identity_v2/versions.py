"""Version documents of an identity, and logins that clients send to their addresses.

Source: keystone at 30.0.0, keystone/api/discovery.py, for v3; keystone at 8.0.0,
keystone/version/controllers.py, for v2.0.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response

from nova_image_shim.identity_v2.hooks import equip
from nova_image_shim.web.current import compute_base
from nova_image_shim.web.responses import json_response

_UPDATED = {"v3": "2020-04-07T00:00:00Z", "v2.0": "2014-04-17T00:00:00Z"}
_GUIDE = {
    "rel": "describedby",
    "type": "text/html",
    "href": "https://developer.openstack.org/api-ref/identity/v2/content",
}


def versions_blueprint(versions: Sequence[str], log_in: Callable[..., Response]) -> Blueprint:
    """Return the documents of some versions.

    libcloud before 3.0 sends logins to these addresses, as it adds nothing to one that has a path.
    With Keystone, which returns 405, its users configure an address that ends in `/v2.0/tokens`.
    Source: libcloud at v2.8.3, libcloud/common/openstack_identity.py, `morph_action_hook`.
    """
    blueprint = Blueprint("identity_versions", __name__)
    equip(blueprint)

    def index() -> Response:
        """List the versions: 300 `{"versions": {"values": [...]}}`."""
        values = [_document(version) for version in versions]
        headers = {"Location": values[0]["links"][0]["href"]}
        return json_response({"versions": {"values": values}}, 300, headers)

    def show(identity_version: str) -> Response:
        """Show a version: 200 `{"version": {...}}`."""
        return json_response({"version": _document(identity_version)})

    def log_in_here(**_identity_version: str) -> Response:
        return log_in()

    any_version = f"<any({', '.join(map(repr, versions))}):identity_version>"
    for path, view in (
        ("/identity", index),
        (f"/identity/{any_version}", show),
        (f"/{any_version}", show),
    ):
        blueprint.get(path)(view)
        blueprint.post(path, endpoint="log_in")(log_in_here)
    return blueprint


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
