"""The identity's version documents, which need no token.

Source: keystone at 30.0.0, keystone/api/discovery.py; 12.0.0 was the last with v2.0 beside v3.
"""

from __future__ import annotations

from flask import Blueprint, Response
from keystoneauth1 import fixture

from nova_image_shim.context import compute_base
from nova_image_shim.wire import JSON, to_json

blueprint = Blueprint("identity_versions", __name__)

# Both are stable here: some clients pass over what is deprecated.
_STATUS = "stable"


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


def _v3() -> fixture.V3Discovery:
    href = f"{compute_base()}/identity/v3/"
    found = fixture.V3Discovery(href, id="v3.14", xml=False, status=_STATUS)
    found.updated_str = "2020-04-07T00:00:00Z"
    return found


def _v2() -> fixture.V2Discovery:
    href = f"{compute_base()}/identity/v2.0/"
    found = fixture.V2Discovery(href, pdf=False, status=_STATUS)
    found.updated_str = "2014-04-17T00:00:00Z"
    found.add_media_type("application/json", "application/vnd.openstack.identity-v2.0+json")
    return found
