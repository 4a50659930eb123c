"""The calls of identity v2.0, API keys included.

Source: keystone at 8.0.0, keystone/token/controllers.py, keystone/resource/controllers.py and
keystone/common/controller.py; the extension RAX-KSKEY is Rackspace's.
"""

from typing import Any

from flask import Blueprint, Response, current_app, request

from nova_image_shim.adapters.identity_port import Asker, IdentityService, IssuedToken
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.identity_v2.bodies import access, tenant
from nova_image_shim.identity_v2.hooks import equip
from nova_image_shim.identity_v2.responses import keystone_answer
from nova_image_shim.identity_v2.schemas import AuthV2, load_auth, to_login
from nova_image_shim.observability.trace import CURRENT, LOGIN_CALL
from nova_image_shim.settings.catalog import CatalogEntry
from nova_image_shim.web.current import compute_base, settings
from nova_image_shim.web.errors import HTTPError

blueprint = Blueprint("identity_v2", __name__)
equip(blueprint)

_API_KEYS = {
    "alias": "RAX-KSKEY",
    "name": "Rackspace API Key Authentication",
    "namespace": "http://docs.rackspace.com/identity/api/ext/RAX-KSKEY/v1.0",
    "description": "Log in with a user name and an API key.",
    "updated": "2011-08-14T00:00:00-00:00",
    "links": [],
}


@blueprint.post("/tokens")
def issue() -> Response:
    """Log in: 200 `{"access": {"token", "user", "serviceCatalog", "metadata"}}`.

    Errors: 400 for an invalid body, 401 for a wrong user, password, API key, token or tenant, 403
    for a token that may not be exchanged, 503 if the identity service is away.
    """
    trace = CURRENT.get()
    trace.call = LOGIN_CALL  # also at the address of a version document
    token = _identity().log_in(_asker(), to_login(load_auth(AuthV2)))
    body = _access(token)
    trace.user_id, trace.token = body["access"]["user"]["id"], token.id
    trace.project_id = body["access"]["token"].get("tenant", {}).get("id", "-")
    return keystone_answer(body)


@blueprint.get("/tokens/<token_id>")
def validate(token_id: str) -> Response:
    """Show a token: 200 as `issue`; 404 if it is invalid, 401 if it is not for `belongsTo`."""
    body = _access(_identity().show(_asker(), token_id))
    wanted = request.args.get("belongsTo")
    if wanted and wanted != body["access"]["token"].get("tenant", {}).get("id"):
        raise HTTPError(401)
    return keystone_answer(body)


@blueprint.delete("/tokens/<token_id>")
def revoke(token_id: str) -> Response:
    """Revoke a token: 204; 404 if it is invalid."""
    _identity().revoke(_asker(), token_id)
    return Response(status=204)


@blueprint.get("/tenants")
def tenants() -> Response:
    """List the caller's projects: 200 `{"tenants": [...], "tenants_links": []}`.

    Errors: 400 for an unknown `marker` or an invalid `limit`.
    """
    try:
        found = [tenant(project) for project in _identity().projects(_asker())]
    except (KeyError, AttributeError) as error:
        raise _misshapen(error) from error
    return keystone_answer({"tenants": _page(found), "tenants_links": []})


@blueprint.get("/extensions")
def extensions() -> Response:
    """List the extensions: 200 `{"extensions": {"values": [...]}}`."""
    return keystone_answer({"extensions": {"values": [_API_KEYS]}})


def _identity() -> IdentityService:
    found: IdentityService = current_app.extensions["identity_v2"]
    return found


def _asker() -> Asker:
    token = request.headers.get("X-Auth-Token", "").strip()
    return Asker(token, request.remote_addr or "")


def _access(token: IssuedToken) -> dict[str, Any]:
    """Return the body that shows a token; the catalog's identity is this one."""
    conf = settings()
    own = CatalogEntry(None, "identity", f"{compute_base()}/identity/v2.0")
    region = conf.keystone.region_name
    entries = [
        entry if entry.region else entry._replace(region=region)
        for entry in conf.identity_v2_catalog
    ]
    try:
        return access(token, [own, *entries], region)
    except (KeyError, TypeError, AttributeError) as error:
        raise _misshapen(error) from error


def _misshapen(error: Exception) -> KeystoneUnavailable:
    return KeystoneUnavailable(f"Keystone's answer has another shape: {type(error).__name__}")


def _page(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most `limit` tenants, from the one after `marker` on."""
    marker, limit = request.args.get("marker"), request.args.get("limit")
    ids = [project["id"] for project in found]
    if marker is not None and marker not in ids:
        raise HTTPError(400, "Marker could not be found")
    if limit is not None and not (limit.isdecimal() and limit.isascii() and len(limit) < 10):
        raise HTTPError(400, "Invalid limit value")
    first = 0 if marker is None else ids.index(marker) + 1
    return found[first : None if limit is None else first + int(limit)]
