"""From the Flask request to who is asking (`Caller`) and to the port's `Context`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flask import current_app, g, request

from nova_image_shim.adapters.image_port import Context
from nova_image_shim.api.errors import Fault
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.translation.translator import Links, Translator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Request
    from keystoneauth1.plugin import BaseAuthPlugin

    from nova_image_shim.adapters.image_port import ImageService
    from nova_image_shim.lists.cache import ListCache, Uncached
    from nova_image_shim.settings import Settings

_VERSION = re.compile(r"/v\d+(?:\.\d+)?/?\Z")
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", re.ASCII)
_USUAL_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token stands for.

    Args:
        user_id: who asks.
        project_id: for which project, None for a token without one.
        auth: the token and its catalog, for the image store.
        roles: their names.
        token: all that Keystone says of the token.
    """

    user_id: str
    project_id: str | None
    auth: BaseAuthPlugin | None = None
    roles: frozenset[str] = frozenset()
    token: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Authenticate(Protocol):
    """How a request becomes a caller: Keystone's way, or the embedded cloud's."""

    def __call__(self, request: Request, /) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: there is no good token.
            KeystoneUnavailable: Keystone did not say.
        """


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
    """Keep who asks, for the views and for the log."""
    g.caller = caller
    trace = CURRENT.get()
    trace.user_id, trace.project_id = caller.user_id, caller.project_id or "-"


def keep_project(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Take the path's project out of a view's arguments; None where the path has none."""
    g.tenant_id = values.pop("tenant_id", None) if values is not None else None


def require_own_project() -> None:
    """Refuse a path whose project is not exactly the token's; admins are no exception."""
    path, own = g.tenant_id, g.caller.project_id
    if path is not None and path != own:
        raise Fault(
            400,
            f"Malformed request URL: URL's project_id '{path}' "
            f"doesn't match Context's project_id '{own}'",
        )


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


def require_good_host() -> None:
    """Refuse a `Host` that no link could be made of."""
    header = request.headers.get("Host")
    if header is None:
        return
    match = _HOST.fullmatch(header)
    if not match or not 0 < int(match[2] or "1") < 2**16:
        raise Fault(400, "The Host header is malformed: a name or an address and a port is wanted")


def compute_base() -> str:
    """Return what our own links begin with: the configured prefix, or the request's own host."""
    root = request.environ.get("SCRIPT_NAME", "").rstrip("/")
    if prefix := settings().compute_link_prefix:
        return f"{prefix}{root}"
    # Not `request.host`, which is empty for a name with an underscore, as containers have.
    host = request.headers.get("Host") or request.host
    return f"{request.scheme}://{host.removesuffix(_USUAL_PORTS[request.scheme])}{root}"


def www_authenticate_uri() -> str:
    """Return where a client is sent for a token: the public Keystone, or the embedded one."""
    return settings().www_authenticate_uri or f"{compute_base()}/identity"


def make_translator(context: Context) -> Translator:
    """Return the translator whose links are those of the current request."""
    conf = settings()
    endpoint = conf.glance_link_prefix or image_service().endpoint(context)
    links = Links.under(
        compute_base(),
        mount(),
        g.tenant_id,
        _VERSION.sub("", endpoint).rstrip("/") if endpoint else compute_base(),
        project_in_alternate=conf.alternate_link_project,
    )
    return Translator(links, conf.show_image_size, conf.show_disk_config)


def mount() -> str:
    """Return the mount that the request came to: `v2`, `v1.1` or `v2.1`."""
    return request.path.split("/", 2)[1]
