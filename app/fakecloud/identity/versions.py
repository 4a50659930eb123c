"""Version documents of the identity, and logins that clients send to their addresses.

Source: keystone at 30.0.0, keystone/api/discovery.py; 12.0.0 was the last with v2.0 beside v3.
"""

from typing import Any

from flask import Blueprint, Response, request

from nova_image_shim.fakecloud.identity import v2 as identity_v2
from nova_image_shim.fakecloud.identity import v3 as identity_v3
from nova_image_shim.fakecloud.identity.token_bodies import version_v2, version_v3
from nova_image_shim.translation.ascii_json import JSON, to_json
from nova_image_shim.web.current import compute_base

blueprint = Blueprint("identity_versions", __name__)


@blueprint.get("/identity")
@blueprint.get("/identity/")
def index() -> Response:
    """List both versions: 300 `{"versions": {"values": [...]}}`."""
    body = {"versions": {"values": [_v3(), _v2()]}}
    headers = {"Location": _v3()["links"][0]["href"]}
    return Response(to_json(body), 300, headers, content_type=JSON)


@blueprint.get("/v3")
@blueprint.get("/v3/")
@blueprint.get("/identity/v3")
@blueprint.get("/identity/v3/")
def show_v3() -> Response:
    """Show v3: 200 `{"version": {...}}`."""
    return Response(to_json({"version": _v3()}), content_type=JSON)


@blueprint.get("/v2.0")
@blueprint.get("/v2.0/")
@blueprint.get("/identity/v2.0")
@blueprint.get("/identity/v2.0/")
def show_v2() -> Response:
    """Show v2.0: 200 `{"version": {...}}`."""
    return Response(to_json({"version": _v2()}), content_type=JSON)


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
    return identity_v3.issue() if is_v3 else identity_v2.issue()


def _v3() -> dict[str, Any]:
    return version_v3(f"{compute_base()}/identity/v3/")


def _v2() -> dict[str, Any]:
    return version_v2(f"{compute_base()}/identity/v2.0/")
