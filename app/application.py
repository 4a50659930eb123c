"""The application put together: blueprints, and the steps before and after every view."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, g
from werkzeug.exceptions import NotFound

from nova_image_shim.adapters.image_port import ImageService
from nova_image_shim.adapters.limits.limiter import Limiter, Room
from nova_image_shim.api import health, image_metadata, microversions, versions
from nova_image_shim.api import images as image_calls
from nova_image_shim.api.context import api_version, keep_project, require_valid_host
from nova_image_shim.api.errors import register_error_handlers
from nova_image_shim.api.paths import LegacyPaths, is_below_mount, is_unroutable
from nova_image_shim.auth.caller import Authenticate
from nova_image_shim.lists.cache import Lists
from nova_image_shim.observability.readiness import Readiness
from nova_image_shim.observability.trace import CURRENT, Trace, end_trace, log_access
from nova_image_shim.settings import Settings
from nova_image_shim.web.current import (
    Services,
    current_request,
    install,
    keep_room,
    release_slot,
    services,
    set_caller,
)
from nova_image_shim.web.flask_app import create_flask
from nova_image_shim.web.proxies import TrustedProxies
from nova_image_shim.web.responses import add_request_ids, compress, forbid_sharing, options
from nova_image_shim.web.retirement import announcements, refuse_in_brownout

if TYPE_CHECKING:
    from nova_image_shim.observability.metrics import Metrics


def create_app(
    settings: Settings,
    images: ImageService,
    authenticate: Authenticate,
    *,
    lists: Lists | None = None,
    limiter: Limiter | None = None,
    room: Room | None = None,
    metrics: "Metrics | None" = None,
    checks: Mapping[str, Callable[[], object]] = MappingProxyType({}),
) -> Flask:
    """Return the application over an image store.

    Without `lists` no list is cached, without a limiter any number of requests may call the store
    at once, and without room lists may have any number of bytes. `/healthcheck/ready` runs the
    checks, by name; one that raises has failed.
    """
    app = create_flask("nova_image_shim", settings.max_body_bytes, static_folder=None)
    app.url_map.merge_slashes = False  # LegacyPaths merges them; Flask would redirect
    lists = lists or Lists(images)
    install(app, Services(settings, images, lists, Readiness(checks), limiter, room))
    register_error_handlers(app)
    _register_blueprints(app, settings)
    _register_steps(app, settings, authenticate, metrics)
    app.wsgi_app = LegacyPaths(app.wsgi_app)  # type: ignore[method-assign]
    if hops := settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, hops)  # type: ignore[method-assign]
    return app


def _register_blueprints(app: Flask, settings: Settings) -> None:
    app.register_blueprint(versions.blueprint)
    app.register_blueprint(health.blueprint)
    if settings.mounts:
        _register_versions(app, settings.mounts)
    if settings.serves_docs:
        from nova_image_shim import api_docs  # noqa: PLC0415 - needs the extra `fake`

        app.register_blueprint(api_docs.blueprint)


def _register_versions(app: Flask, mounts: tuple[str, ...]) -> None:
    version = "/<any({}):version>".format(", ".join(map(repr, mounts)))
    # Both forms are the document itself: some clients follow no redirect.
    app.add_url_rule(version, "version", versions.show)
    app.add_url_rule(f"{version}/", "version", versions.show)
    for module in (image_calls, image_metadata):
        app.register_blueprint(module.blueprint, url_prefix=f"{version}/<tenant_id>")
        if microversions.MOUNT in mounts:  # where the project may be left out
            name = f"{module.blueprint.name} without project"
            app.register_blueprint(
                module.blueprint, name=name, url_prefix=f"/{microversions.MOUNT}"
            )


def _register_steps(
    app: Flask, settings: Settings, authenticate: Authenticate, metrics: "Metrics | None"
) -> None:
    """Register what happens around every view, 404 and 405 included."""
    app.url_value_preprocessor(keep_project)
    app.before_request(_before(settings, authenticate, metrics))
    app.after_request(_after(settings, metrics))

    @app.teardown_request
    def teardown(_error: BaseException | None) -> None:
        release_slot()
        if metrics:
            metrics.end()
        end_trace()


def _before(
    settings: Settings, authenticate: Authenticate, metrics: "Metrics | None"
) -> Callable[[], Response | None]:
    """Return the steps before a view, in order."""
    brownout = settings.brownout

    def before() -> Response | None:
        if metrics:
            metrics.begin()
        request = current_request()
        CURRENT.set(Trace.of(request))
        if request.method == "OPTIONS":
            return options()
        needs_token = is_below_mount(request.path)
        require_valid_host(request)
        if needs_token:  # before routing, as Nova's middleware does
            set_caller(authenticate(request, g.tenant_id))
        _refuse_unroutable(request)
        if api_version() == microversions.MOUNT:
            microversions.require_known_version()
        if brownout and needs_token:
            refuse_in_brownout(brownout)
        return None

    return before


def _after(settings: Settings, metrics: "Metrics | None") -> Callable[[Response], Response]:
    """Return the steps after a view, in order."""
    announced = announcements(settings)
    may_compress = "no-compression" not in settings.compat

    def after(response: Response) -> Response:
        request = current_request()
        path, method = request.path, request.method
        if api_version() in settings.mounts:
            for name, value in announced:
                response.headers.add(name, value)
        if method not in {"GET", "HEAD"} and "caller" in g:  # also where it failed
            services().lists.note_write(g.caller.project_id or "")
        if path != "/":  # Nova's version list has no request ids, its documents have
            add_request_ids(response)
        if is_below_mount(path) and method != "OPTIONS":
            forbid_sharing(response)
        microversions.add_version_headers(response)
        if may_compress:
            compress(response)
        keep_room(response)
        trace = CURRENT.get()
        seconds = time.monotonic() - trace.started
        log_access(request, response, seconds)
        if metrics:
            metrics.record(trace, response.status_code, seconds)
        return response

    return after


def _refuse_unroutable(request: Request) -> None:
    """Refuse a path without a view before its version is checked, as Nova does.

    Paths outside the mounts have no version; other parts of the application may answer them.
    """
    if is_unroutable(request.environ):
        raise NotFound
    if request.routing_exception is not None and is_below_mount(request.path):
        raise request.routing_exception
