"""Refuse a `Host` that a site on the internet can have.

Otherwise a page of a site whose name is made to point to this machine could use the cloud.
"""

import ipaddress
import re
from collections.abc import Collection

from flask import Flask, request

from nova_image_shim.adapters.address import is_loopback
from nova_image_shim.settings import Settings
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.proxies import SENT_HOST

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def guard_host(app: Flask, settings: Settings) -> None:
    """Refuse requests with a foreign `Host`, except probes; a browser always sends one."""

    @app.before_request
    def refuse() -> None:
        # X-Forwarded-Host does not count: a page can set it.
        sent = request.environ.get(SENT_HOST, request.environ.get("HTTP_HOST"))
        if sent is not None and not request.path.startswith("/healthcheck"):
            hint = "; SHIM_FAKE_HOSTS allows other names"
            require_own_host(sent, str(settings.bind), settings.fake_hosts, "the cloud", hint)


def require_own_host(
    host: str, bind: str, names: Collection[str], what: str, hint: str = ""
) -> None:
    """Refuse a `Host` that does not name this machine.

    A cloud bound to a loopback address allows loopback addresses and `localhost`. Bound to another
    address, it also allows any address, and a name without a dot, as containers use: no site on
    the internet has such a name. `names` are allowed, too. `what` and `hint` are for the error.

    Raises:
        HTTPError: 403.
    """
    name = _name(host)
    bound = _name(bind) or "localhost"  # without a name it is a Unix socket
    if is_loopback(name) or name == bound or name in names:
        return
    if not is_loopback(bound) and name and (_is_address(name) or "." not in name):
        return
    raise HTTPError(
        403,
        f"Host {name or 'missing or malformed'}: {what} answers to a loopback address "
        f"or localhost{'' if is_loopback(bound) else ', any address, or a name without a dot'}"
        f"{hint}",
    )


def _name(host: str) -> str:
    """Return the part before the port, in lower case and without brackets, or an empty string."""
    match = _HOST.fullmatch(host)
    return match["name"].lower().strip("[]") if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
