"""The application put together: blueprints, the steps of every request, fault handlers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from nova_image_shim import api_docs
from nova_image_shim.api import health, image_metadata, images, microversions, versions
from nova_image_shim.api.context import api_version, keep_project, require_valid_host
from nova_image_shim.api.errors import register_error_handlers
from nova_image_shim.api.paths import LegacyPaths, is_below_mount, is_unroutable
from nova_image_shim.lists.cache import Uncached
from nova_image_shim.observability.trace import CURRENT, Trace, log_access
from nova_image_shim.web.current import set_caller, www_authenticate_uri
from nova_image_shim.web.responses import add_request_ids, compress
from nova_image_shim.web.retirement import announcements, brownout_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nova_image_shim.adapters.image_port import ImageService
    from nova_image_shim.auth.caller import Authenticate
    from nova_image_shim.lists.cache import ListCache
    from nova_image_shim.observability.metrics import Metrics
    from nova_image_shim.settings import Settings


class _App(Flask):
    """Flask without its look, for each hook of each request, whether that is a coroutine."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none here is a coroutine."""
        return func


def create_app(
    settings: Settings,
    image_service: ImageService,
    authenticate: Authenticate,
    *,
    metrics: Metrics | None = None,
    checks: Mapping[str, Callable[[], object]] = MappingProxyType({}),
    list_cache: ListCache | None = None,
) -> Flask:
    """Return the application.

    Args:
        settings: what `Settings.from_environ` gave.
        image_service: where the images are.
        authenticate: who may ask.
        metrics: where requests are counted, None for nowhere.
        checks: what `/healthcheck/ready` looks at, by name; one that raises has failed.
        list_cache: where lists are kept for a while, None for nowhere.
    """
    app = _App("nova_image_shim", static_folder=None)
    app.url_map.merge_slashes = False  # LegacyPaths merges them; Flask would redirect
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["settings"] = settings
    app.extensions["image_service"] = image_service
    app.extensions["readiness"] = health.Readiness(checks)
    app.extensions["executor"] = ThreadPoolExecutor(2 * settings.threads, "pages")
    register_error_handlers(app, www_authenticate_uri)
    _register_blueprints(app, settings.mounts)
    if settings.serves_docs:
        app.register_blueprint(api_docs.blueprint)
    _register_steps(app, settings, authenticate)
    _register_end(app, settings, metrics)
    _register_cache(app, list_cache)
    _register_announcements(app, settings)
    app.wsgi_app = LegacyPaths(app.wsgi_app)  # type: ignore[method-assign]
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops
        )
    return app


def _register_blueprints(app: Flask, mounts: tuple[str, ...]) -> None:
    app.register_blueprint(versions.blueprint)
    app.register_blueprint(health.blueprint)
    for name in mounts:
        # Both forms are the document itself: some clients follow no redirect.
        app.add_url_rule(f"/{name}", "version", versions.show)
        app.add_url_rule(f"/{name}/", "version", versions.show)
        _register_images(app, name, f"/{name}/<tenant_id>")
    if microversions.MOUNT in mounts:  # where the project may be left out
        _register_images(app, "v2.1 without project", f"/{microversions.MOUNT}")


def _register_images(app: Flask, name: str, url_prefix: str) -> None:
    for module in (images, image_metadata):
        full_name = f"{module.blueprint.name} {name}".replace(".", "_")
        app.register_blueprint(module.blueprint, name=full_name, url_prefix=url_prefix)


def _register_steps(app: Flask, settings: Settings, authenticate: Authenticate) -> None:
    """Register what happens before and after every view, 404 and 405 included."""
    app.url_value_preprocessor(keep_project)

    @app.before_request
    def begin() -> None:
        CURRENT.set(Trace.of(request))
        require_valid_host()

    @app.before_request
    def identify() -> None:
        """Say who asks, before anything is said of the path, as the middleware at Nova does."""
        if is_below_mount(request.path):
            set_caller(authenticate(request, g.tenant_id))

    app.before_request(_refuse_unroutable)
    app.before_request(_negotiate)

    if settings.brownout:
        app.before_request(brownout_hook(settings.brownout, is_below_mount))


def _register_end(app: Flask, settings: Settings, metrics: Metrics | None) -> None:
    """Register what every answer gets, and how it is told of."""

    @app.after_request
    def end(response: Response) -> Response:
        if request.path != "/":  # the version list has none at Nova, the documents have
            add_request_ids(response)
        microversions.add_version_headers(response)
        if settings.compress:
            compress(response)
        trace = CURRENT.get()
        seconds = time.monotonic() - trace.started
        log_access(request, response, seconds)
        if metrics:
            metrics.record(trace, response.status_code, seconds)
        return response

    if metrics:
        app.before_request_funcs.setdefault(None, []).insert(0, metrics.begin)
        app.teardown_request(metrics.end)


def _refuse_unroutable() -> None:
    """Refuse what leads nowhere before anything is said of its version, as Nova does.

    Beside the mounts there is no version, and others may have the word.
    """
    if is_unroutable(request.environ):
        raise NotFound
    if request.routing_exception is not None and is_below_mount(request.path):
        raise request.routing_exception


def _negotiate() -> None:
    """Settle the microversion, which only one mount has; the others ignore the headers."""
    if api_version() == microversions.MOUNT:
        microversions.require_known_version()


def _register_cache(app: Flask, list_cache: ListCache | None) -> None:
    app.extensions["list_cache"] = list_cache or Uncached()
    if list_cache is None:
        return

    @app.after_request
    def note_write(response: Response) -> Response:
        """Tell the cache of every write, also of one whose end is not known."""
        if request.method not in {"GET", "HEAD"} and "caller" in g:
            list_cache.note_write(g.caller.project_id or "")
        return response


def _register_announcements(app: Flask, settings: Settings) -> None:
    """Announce the end of the API on every response below a mount, and on the mount's own."""
    headers = announcements(settings)

    def announce(response: Response) -> Response:
        if api_version() in settings.mounts:
            for name, value in headers:
                response.headers.add(name, value)
        return response

    if headers:
        app.after_request(announce)
