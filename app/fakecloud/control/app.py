"""The control plane's HTTP API: a separate application, mounted at `/_fake`.

It is separate from the one that clients call, so that the journal does not record its requests,
fault rules do not apply to it, and its errors are not in legacy form.

It is protected from pages of other sites that are open in a developer's browser.
A browser reveals such a page: it sends the page's site as `Origin`, it keeps the site's name as
`Host` where that name was made to point to this machine, and it sends JSON to another site only
after a preflight request.
"""

from collections.abc import Collection, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, request
from werkzeug.exceptions import default_exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from nova_image_shim.adapters.image_port import ImageNotFound
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.control import views
from nova_image_shim.fakecloud.control.faults import FaultInjector
from nova_image_shim.fakecloud.hosts import require_own_host
from nova_image_shim.settings import Settings
from nova_image_shim.web.errors import HTTPError, register_errors
from nova_image_shim.web.flask_app import create_flask
from nova_image_shim.web.responses import json_response

_MAX_BODY_BYTES = 64 * 2**20
_MAX_MESSAGE = 2000
_WITH_BODY = {"POST", "PUT", "PATCH"}
_MESSAGES = {
    404: "there is nothing at this path: GET /_fake/ lists the calls",
    500: "an unexpected error: see the service's log",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def mount_control_plane(app: Flask, cloud: FakeCloud, settings: Settings) -> None:
    """Mount the control plane at `/_fake`, and apply fault rules to everything else."""
    faulty_app = FaultInjector(app, cloud)
    control_app = create_control_app(cloud, str(settings.bind), settings.fake_hosts)
    control_app.jinja_env.globals["has_docs"] = settings.serves_docs
    control = DispatcherMiddleware(faulty_app, {"/_fake": control_app})

    def either(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # The dispatcher would take the `*` of `OPTIONS *` for an application's root.
        chosen = control if environ["PATH_INFO"].startswith("/_fake") else faulty_app
        return chosen(environ, start_response)

    app.wsgi_app = either  # type: ignore[method-assign]


def create_control_app(cloud: FakeCloud, bind: str, hosts: Collection[str] = ()) -> Flask:
    """Return the application to mount at `/_fake`; `bind` and `hosts` decide the allowed `Host`."""
    app = create_flask(__name__, _MAX_BODY_BYTES)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions["fake_cloud"] = cloud

    @app.before_request
    def admit() -> None:
        require_own_host(request.headers.get("Host", ""), bind, hosts, "the control plane")
        _require_own_origin()
        _require_json()

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    app.register_blueprint(views.blueprint)
    register_errors(app, _render)
    app.register_error_handler(ImageNotFound, lambda error: _render(404, error.text))
    return app


def _require_own_origin() -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.headers['Host']}":
        raise HTTPError(
            403, f"Origin {origin[:255]}: only the control plane's own page may send requests"
        )


def _require_json() -> None:
    """Refuse a body, or a method that has one, of another type than JSON: a form could send it."""
    has_body = request.method in _WITH_BODY or request.content_length
    if has_body and request.mimetype != "application/json":
        raise HTTPError(
            415, f"{request.method} needs Content-Type: application/json; an empty body is {{}}"
        )


def _render(status: int, message: str | None) -> Response:
    """Return `{"error": {"code": N, "title": "...", "message": "..."}}`."""
    text = message or _MESSAGES.get(status) or default_exceptions[status].description or ""
    title = HTTP_STATUS_CODES[status]
    body = {"code": status, "title": title, "message": text[:_MAX_MESSAGE]}
    return json_response({"error": body}, status)
