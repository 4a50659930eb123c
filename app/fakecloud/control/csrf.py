"""Protect the control plane from pages of other sites that are open in a developer's browser.

A browser reveals such a page: it sends the page's site as `Origin`, it keeps the site's name as
`Host` where that name was made to point to this machine, and it sends JSON to another site only
after a preflight request.
"""

import ipaddress
import re

from flask import Request

from nova_image_shim.adapters.address import is_loopback
from nova_image_shim.web.errors import HTTPError

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_WITH_BODY = {"POST", "PUT", "PATCH"}


def require_own_page(request: Request, bind: str) -> None:
    """Refuse what a page of another site could send.

    Raises:
        HTTPError: 403 for a foreign host or origin, 415 for the content type of a form.
    """
    _require_own_host(request.headers.get("Host", ""), bind)
    _require_own_origin(request)
    _require_json(request)


def _require_own_host(host: str, bind: str) -> None:
    """Refuse a `Host` that does not name this machine.

    A cloud bound to a loopback address allows loopback addresses and `localhost`. Bound to another
    address, it also allows any address, and a name without a dot, as containers use: no site on
    the internet has such a name.
    """
    name = _name(host)
    bound = _name(bind) or "localhost"  # without a name it is a Unix socket
    if is_loopback(name) or name == bound:
        return
    if not is_loopback(bound) and name and (_address(name) or "." not in name):
        return
    raise HTTPError(
        403,
        f"Host {name or 'missing or malformed'}: the control plane answers to a loopback address "
        f"or localhost{'' if is_loopback(bound) else ', any address, or a name without a dot'}",
    )


def _require_own_origin(request: Request) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.headers['Host']}":
        raise HTTPError(
            403, f"Origin {origin[:255]}: only the control plane's own page may send requests"
        )


def _require_json(request: Request) -> None:
    """Refuse a body, or a method that has one, of another type than JSON: a form could send it."""
    has_body = request.method in _WITH_BODY or request.content_length
    if has_body and request.mimetype != "application/json":
        raise HTTPError(
            415, f"{request.method} needs Content-Type: application/json; an empty body is {{}}"
        )


def _name(host: str) -> str:
    """Return the part before the port, in lower case and without brackets, or an empty string."""
    match = _HOST.fullmatch(host)
    return match["name"].lower().strip("[]") if match else ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
