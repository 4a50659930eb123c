"""The current request as a call of the legacy API: its version, project and links."""

import re
from typing import Any

from flask import Request, g, request

from nova_image_shim.adapters.address import without_version
from nova_image_shim.adapters.image_port import Context
from nova_image_shim.api import health
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator
from nova_image_shim.web.current import compute_base, settings
from nova_image_shim.web.errors import HTTPError

# Bounded, because it is in every link of a list.
_HOST = re.compile(r"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?", re.ASCII)


def api_version() -> str:
    """Return the version in the request's path: `v2`, `v1.1` or `v2.1`."""
    return request.path.split("/", 2)[1]


def keep_project(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Move the path's project from the view's arguments to `g`; None where the path has none."""
    values = values or {}
    values.pop("version", None)  # `api_version` reads the path, which may have no view
    g.tenant_id = values.pop("tenant_id", None)


def require_own_project() -> None:
    """Refuse a path whose project is not the token's, for admins too, and an unscoped token."""
    path, caller = g.tenant_id, g.caller
    own = caller.project_id
    if path is not None and path != own:
        mismatch = f"URL's project_id '{path}' doesn't match Context's project_id '{own}'"
        raise HTTPError(400, f"Malformed request URL: {mismatch}")
    if caller.is_unscoped:
        raise HTTPError(403, "The token is not scoped to a project.")


def require_valid_host(request: Request) -> None:
    """Refuse a `Host` that cannot be part of a link, except for health checks: they have none."""
    if (header := request.headers.get("Host")) is None:
        return
    match = _HOST.fullmatch(header)
    if match and 0 < int(match[2] or "1") < 2**16:
        return
    if request.blueprint != health.blueprint.name:
        message = "The Host header is malformed: it must be a name or address and a port"
        raise HTTPError(400, message)


def make_translator(context: Context) -> Translator:
    """Return the translator whose links are those of the current request."""
    conf, base = settings(), compute_base()
    prefix = conf.glance_link_prefix
    endpoint = without_version(prefix) if prefix else context.endpoint
    links = Links.under(
        base,
        api_version(),
        g.tenant_id,
        endpoint or base,
        project_in_alternate="no-alternate-project" not in conf.compat,
    )
    return Translator(
        links,
        show_size="no-image-size" not in conf.compat,
        show_disk_config="no-disk-config" not in conf.compat,
        raw_mappings="raw-block-device-mapping" in conf.compat,
    )
