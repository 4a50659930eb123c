"""What belongs to the current request: the application's parts, its caller, its addresses."""

import time
from dataclasses import dataclass

from flask import Flask, Request, Response, current_app, g, request

from nova_image_shim.adapters.image_port import Context, ImageService
from nova_image_shim.adapters.limits.limiter import Limiter, Room, Share, Slot
from nova_image_shim.auth.caller import Caller
from nova_image_shim.lists.cache import Lists
from nova_image_shim.observability.readiness import Readiness
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_NAME = "nova_image_shim"


@dataclass(frozen=True, slots=True)
class Services:
    """What an application consists of: `lists` are over `images`.

    No limiter means no limit of calls, and no room means none of the bytes of lists.
    """

    settings: Settings
    images: ImageService
    lists: Lists
    readiness: Readiness
    limiter: Limiter | None = None
    room: Room | None = None


def install(app: Flask, services: Services) -> None:
    """Make the services those of an application."""
    app.extensions[_NAME] = services


def current_request() -> Request:
    """Return the request itself; Flask's `request` looks it up on every use."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001
    return found


def services() -> Services:
    """Return the running application's services."""
    found: Services = current_app.extensions[_NAME]
    return found


def settings() -> Settings:
    """Return the running application's settings."""
    found: Services = current_app.extensions[_NAME]
    return found.settings


def set_caller(caller: Caller) -> None:
    """Store the caller for the views and for the log."""
    g.caller = caller
    trace = CURRENT.get()
    trace.user_id, trace.project_id = caller.user_id, caller.project_id or "-"


def make_context() -> Context:
    """Return the port's context for the current request.

    Raises:
        ImageServiceUnavailable: the caller's catalog has no image service.
    """
    trace, found = CURRENT.get(), services()
    caller: Caller = g.caller
    slot, share = g.get("slot"), g.get("share")
    if found.limiter and not slot:
        slot = g.slot = Slot(found.limiter)  # acquired at the first call to the image store
    if found.room and not share:
        share = g.share = Share(found.room)
    return Context(
        project_id=caller.project_id or "",
        request_id=trace.client_request_id or trace.request_id,
        auth=caller.auth,
        deadline=time.monotonic() + found.settings.request_timeout_seconds,
        calls=trace.calls,
        roles=caller.roles,
        endpoint=found.images.endpoint(caller.auth),
        slot=slot,
        share=share,
    )


def release_slot() -> None:
    """Release the request's slot, if it has one: before a byte of the response is sent."""
    if slot := g.pop("slot", None):
        slot.release()
    if share := g.pop("share", None):
        share.end()


def keep_room(response: Response) -> None:
    """Hold what a list's response needs of its room until it is sent."""
    if share := g.pop("share", None):
        share.end(keep=response.content_length or 0)
        response.call_on_close(share.end)


def compute_base() -> str:
    """Return the start of our own links: the configured prefix, or the request's own host."""
    this = current_request()
    root = this.environ.get("SCRIPT_NAME", "").rstrip("/")
    if prefix := settings().compute_link_prefix:
        return f"{prefix}{root}"
    # `request.host` is empty for a name with an underscore, as containers have, and for a request
    # without `Host` on a Unix socket.
    host = this.headers.get("Host") or this.host or "localhost"
    return f"{this.scheme}://{host.removesuffix(_DEFAULT_PORTS[this.scheme])}{root}"


def www_authenticate_uri() -> str:
    """Return where a client gets a token: the public Keystone, or the embedded one."""
    return settings().login_url or f"{compute_base()}/identity"
