"""The control plane's HTTP face: an application of its own, mounted at `/_fake`.

It is apart from the one that clients see, so that nothing of it is in the journal, within reach
of a fault rule, or in legacy form.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, Conflict, HTTPException, InternalServerError, NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from nova_image_shim.fakecloud.control import csrf as guard
from nova_image_shim.fakecloud.control.faults import Faults
from nova_image_shim.fakecloud.control.refusals import AlreadyThere, NothingThere, Refused
from nova_image_shim.fakecloud.control.views import ROUTES, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from nova_image_shim.fakecloud.control.plane import ControlPlane

_log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 64 * 2**20
_LONGEST_MESSAGE = 2000
_NO_PATH = "there is nothing at this path: GET /_fake/ names what there is"
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def mount(app: Flask, plane: ControlPlane, bind: str) -> None:
    """Put the control plane at an application's `/_fake`, and faults in front of all the rest."""
    spoilt = Faults(app, plane.journal, plane.rules_in_force)
    control = DispatcherMiddleware(spoilt, {"/_fake": create_control_app(plane, bind)})

    def either(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # The dispatcher would take the `*` of `OPTIONS *` for an application's root.
        chosen = control if environ["PATH_INFO"].startswith("/_fake") else spoilt
        return chosen(environ, start_response)

    app.wsgi_app = either  # type: ignore[method-assign]


def create_control_app(plane: ControlPlane, bind: str) -> Flask:
    """Return the application to mount at `/_fake`.

    Args:
        plane: what it is the face of.
        bind: where the service listens, `host:port`; which `Host` is ours follows from it.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions["control_plane"] = plane

    @app.before_request
    def admit() -> None:
        guard.require_own_host(request, bind)
        guard.require_own_origin(request)
        guard.require_json(request)

    for method, path, view in ROUTES:
        app.add_url_rule(path, f"{method} {path}", view, methods=[method])
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Refused, lambda error: _http_exception(BadRequest(str(error))))
    app.register_error_handler(NothingThere, lambda error: _http_exception(NotFound(str(error))))
    app.register_error_handler(AlreadyThere, lambda error: _http_exception(Conflict(str(error))))
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_harden)
    return app


def _http_exception(error: HTTPException) -> Response:
    """Answer an error as `{"error": {"code": N, "title": "...", "message": "..."}}`."""
    original = error.get_response()
    text = _NO_PATH if error.description == NotFound.description else error.description or ""
    message = text[:_LONGEST_MESSAGE]
    body = {"code": original.status_code, "title": error.name, "message": message}
    response = json_answer({"error": body}, original.status_code)
    if allow := original.headers.get("Allow"):
        response.headers["Allow"] = allow
    return response


def _unexpected(_error: Exception) -> Response:
    _log.exception("unexpected error in the control plane")
    return _http_exception(InternalServerError("a mistake of the service's own: see its log"))


def _harden(response: Response) -> Response:
    """Have a browser keep nothing, run nothing but our files, and show us in no other's page."""
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response
