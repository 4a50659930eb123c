"""The calls that clients make before those for images, answered as for an empty project.

Source: nova at 12.0.0, nova/api/openstack/compute/legacy_v2, its extensions, and views/flavors.py.
"""

from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import NotFound

from nova_image_shim.api import microversions
from nova_image_shim.api.context import api_version, require_own_project
from nova_image_shim.fakecloud.document import load_data
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.links import Link
from nova_image_shim.web.current import compute_base
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import answer

blueprint = Blueprint("compute", __name__)
blueprint.before_request(require_own_project)

_DATA = load_data(__package__, "compute.yaml")
_BRIEF = ("id", "name", "links")


def register_compute(app: Flask, mounts: tuple[str, ...]) -> None:
    """Add the calls to an application, below each of its mounts."""
    for mount in mounts:
        name = f"compute {mount}".replace(".", "_")
        app.register_blueprint(blueprint, name=name, url_prefix=f"/{mount}/<tenant_id>")
        if mount == microversions.MOUNT:  # where the project may be left out
            app.register_blueprint(blueprint, name=f"{name} alone", url_prefix=f"/{mount}")


def _show(what: str) -> Response:
    """Show the extensions that show in answers, the quota with nothing used, or no servers: 200."""
    return answer(to_json({what: _DATA[what]}))


for _name in ("extensions", "limits", "servers"):
    blueprint.add_url_rule(f"/{_name}", _name, partial(_show, _name))
blueprint.add_url_rule("/servers/detail", "servers")


@blueprint.get("/flavors")
@blueprint.get("/flavors/detail", endpoint="flavors_detail")
def flavors() -> Response:
    """List flavors: 200 `{"flavors": [{"id", "name", "links", ...}]}`; 400 for a bad marker."""
    is_brief = request.path.endswith("/flavors")
    shown = [{key: flavor[key] for key in _BRIEF if is_brief} or flavor for flavor in _page()]
    return answer(to_json({"flavors": shown}))


@blueprint.get("/flavors/<flavor_id>")
def flavor(flavor_id: str) -> Response:
    """Show one flavor: 200 `{"flavor": {...}}`, or 404."""
    for found in _flavors():
        if found["id"] == flavor_id:
            return answer(to_json({"flavor": found}))
    raise NotFound


def _page() -> list[dict[str, Any]]:
    """Return the flavors after `marker`, at most `limit`, if the query has them."""
    found = _flavors()
    if marker := request.args.get("marker"):
        ids = [flavor["id"] for flavor in found]
        if marker not in ids:
            raise HTTPError(400, f"marker [{marker}] not found")
        found = found[ids.index(marker) + 1 :]
    limit = request.args.get("limit", 0, type=int)
    return found[:limit] if limit > 0 else found


def _flavors() -> list[dict[str, Any]]:
    return [{**flavor, "links": _links(flavor["id"])} for flavor in _DATA["flavors"]]


def _links(flavor_id: str) -> list[Link]:
    project = f"/{g.tenant_id}" if g.tenant_id else ""
    base, path = compute_base(), f"{project}/flavors/{flavor_id}"
    return [
        {"rel": "self", "href": f"{base}/{api_version()}{path}"},
        {"rel": "bookmark", "href": f"{base}{path}"},
    ]
