"""The embedded image API put together: versions, authentication and errors as Glance's.

Source: glance at 33.0.0, glance/api/versions.py and glance/common/wsgi.py.
"""

import logging
from functools import partial
from typing import Any, cast

from flask import Blueprint, Response, current_app, request
from webob import exc
from werkzeug.http import HTTP_STATUS_CODES

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.policy import is_admin
from nova_image_shim.auth.caller import Unauthenticated
from nova_image_shim.fakecloud.document import load_data
from nova_image_shim.fakecloud.image import access, data, images, members
from nova_image_shim.web.current import compute_base, make_context, set_caller, www_authenticate_uri
from nova_image_shim.web.responses import json_response

VERSIONS = ("2.15", "2.9", "2.17", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
_MOUNTS = tuple(f"/image/v{version}/" for version in ("2", *VERSIONS))

_log = logging.getLogger(__name__)

versions = Blueprint("glance_versions", __name__, url_prefix="/image")
blueprint = Blueprint("glance_v2", __name__)
unserved = Blueprint("unserved", __name__)
for _part in (images.blueprint, members.blueprint, data.blueprint, unserved):
    blueprint.register_blueprint(_part)

_MISSING = exc.HTTPNotFound.explanation
_STATUSES = {
    port.ImageBadRequest: 400,
    port.MarkerNotFound: 400,
    port.ImageNotAuthorized: 403,
    port.ImageConflict: 409,
    port.ImageQuotaExceeded: 413,
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WITHOUT_BODY = set(
    "show delete change_tag download act list_members show_member delete_member list_tasks".split()
)


@versions.get("")
@versions.get("/")
@versions.get("/v2")
@versions.get("/v2/")
def choices(status: int = 300) -> Response:
    """List the versions to choose from: 300 `{"versions": [...]}`, at `/versions` 200."""
    links = [{"rel": "self", "href": f"{compute_base()}/image/v2/"}]
    statuses = {"2.17": "CURRENT"}
    found = [
        {"id": f"v{number}", "status": statuses.get(number, "SUPPORTED"), "links": links}
        for number in VERSIONS
    ]
    return json_response({"versions": found}, status)


versions.add_url_rule("/versions", "list_versions", partial(choices, 200))


def authenticate() -> None:
    """Authenticate as the compute service does, with the answer of Keystone's middleware."""
    try:
        set_caller(current_app.extensions["fake_authenticate"](request, None))
    except Unauthenticated as error:
        _log.info("401: %.255s", error)
        challenge = {"WWW-Authenticate": f'Keystone uri="{www_authenticate_uri()}"'}
        raise exc.HTTPUnauthorized(headers=challenge) from error


@blueprint.before_request
def begin() -> None:
    """Refuse a call without a token, and a body where there must be none."""
    authenticate()
    if str(request.endpoint).rpartition(".")[2] in _WITHOUT_BODY and access.has_body():
        raise access.bad_request("A body is not expected with this request.")
    if request.method == "HEAD":
        raise _method_not_allowed()


@blueprint.before_app_request
def answer_unknown() -> Response | None:
    """List the versions at an unknown one; authenticate before another path is refused."""
    path = f"{request.path}/"
    if request.routing_exception is None or not path.startswith("/image/"):
        return None
    if not path.startswith(_MOUNTS):
        return choices()
    authenticate()
    raise _method_not_allowed() if _allowed_methods() else exc.HTTPNotFound


def _method_not_allowed() -> exc.HTTPMethodNotAllowed:
    if access.has_body():
        access.load_body()  # Glance reads it first
    return exc.HTTPMethodNotAllowed(headers={"Allow": ", ".join(_allowed_methods())})


def _allowed_methods() -> list[str]:
    """Return the methods of the path, without HEAD, which Glance does not know."""
    adapter = current_app.create_url_adapter(request)
    return [method for method in _METHODS if adapter and method in adapter.allowed_methods()]


def _unserved(row: dict[str, Any], **arguments: str) -> Response:
    if "image_id" in arguments:
        access.find(arguments["image_id"], _MISSING)
    if "admin" in row and not is_admin(make_context()):
        raise access.not_authorized(row["admin"])
    if "body" in row:
        return json_response(row["body"])
    raise exc.HTTPNotFound(explanation=row.get("text", _MISSING).format(**arguments))


for _row in load_data(__package__, "unserved.yaml"):
    _method, _path = _row["call"].split()
    _view, _name = partial(_unserved, _row), _row["call"].replace(".", "")
    unserved.add_url_rule(_path, _name, _view, methods=[_method])


@unserved.post("/images/<_id>/import")
def import_image(_id: str) -> Response:
    """Refuse an import: 400, since no method is enabled."""
    body: Any = access.load_body()
    for name in ("method", "name"):
        if not isinstance(body, dict) or name not in body:
            text = f"Import request requires a '{name}' field."
            raise exc.HTTPBadRequest(explanation=text)
        body = body[name]
    raise exc.HTTPBadRequest(explanation=f"Unknown import method name '{body}'.")


def glance_error(status: int, message: str | None = None) -> Response:
    """Return an error with the given or the status's usual text, as Glance's own."""
    error = exc.status_map.get(status, exc.HTTPError)()
    error.explanation = message or error.explanation
    if status not in exc.status_map:
        error.title = HTTP_STATUS_CODES[status]
        error.status = f"{status} {error.title}"
    return render(error)


@blueprint.app_errorhandler(exc.WSGIHTTPException)
def render(error: Any) -> Response:
    """Return webob's error in the format that the client accepts, HTML if it names none."""
    return cast("Response", Response.from_app(error, request.environ))


@blueprint.errorhandler(port.ImageServiceError)
def port_error(error: port.ImageServiceError) -> Response:
    """Render a refusal of the store, 404 for an image that has just been deleted."""
    return glance_error(_STATUSES.get(type(error), 404), error.text)
