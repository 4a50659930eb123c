"""What belongs to the current request: the application's parts, its caller, its addresses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import current_app, g, request

from nova_image_shim.adapters.image_port import Context
from nova_image_shim.observability.trace import CURRENT

if TYPE_CHECKING:
    from nova_image_shim.adapters.image_port import ImageService
    from nova_image_shim.auth.caller import Caller
    from nova_image_shim.lists.cache import ListCache, Uncached
    from nova_image_shim.settings import Settings

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def settings() -> Settings:
    """Return the running application's settings."""
    found: Settings = current_app.extensions["settings"]
    return found


def image_service() -> ImageService:
    """Return the running application's image store."""
    found: ImageService = current_app.extensions["image_service"]
    return found


def list_cache() -> ListCache | Uncached:
    """Return the running application's cache of lists."""
    found: ListCache | Uncached = current_app.extensions["list_cache"]
    return found


def set_caller(caller: Caller) -> None:
    """Store the caller for the views and for the log."""
    g.caller = caller
    trace = CURRENT.get()
    trace.user_id, trace.project_id = caller.user_id, caller.project_id or "-"


def make_context() -> Context:
    """Return the port's context for the current request."""
    trace = CURRENT.get()
    caller: Caller = g.caller
    return Context(
        project_id=caller.project_id or "",
        request_id=trace.global_request_id,
        auth=caller.auth,
        deadline=time.monotonic() + settings().request_timeout_seconds,
        calls=trace.calls,
        roles=caller.roles,
    )


def compute_base() -> str:
    """Return the start of our own links: the configured prefix, or the request's own host."""
    root = request.environ.get("SCRIPT_NAME", "").rstrip("/")
    if prefix := settings().compute_link_prefix:
        return f"{prefix}{root}"
    # Not `request.host`, which is empty for a name with an underscore, as containers have.
    host = request.headers.get("Host") or request.host
    return f"{request.scheme}://{host.removesuffix(_DEFAULT_PORTS[request.scheme])}{root}"


def www_authenticate_uri() -> str:
    """Return where a client gets a token: the public Keystone, or the embedded one."""
    return settings().login_url or f"{compute_base()}/identity"
