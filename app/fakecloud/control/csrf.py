"""Who may reach the control plane: no page of another site that is open in a developer's browser.

A browser tells on such a page: it names the page's site as `Origin`, it keeps the site's name as
`Host` where that name was made to point at this machine, and it sends no JSON to another site
without asking first.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from werkzeug.exceptions import Forbidden, UnsupportedMediaType

if TYPE_CHECKING:
    from flask import Request

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_WITH_BODY = {"POST", "PUT", "PATCH"}


def require_own_host(request: Request, bind: str) -> None:
    """Refuse a `Host` that is not this machine as it is bound.

    Bound to a loopback address, that is a loopback address or `localhost`. Bound to another, it
    is any address, or a name without a dot, as the containers beside this one use: no site on
    the internet has such a name.

    Raises:
        Forbidden: it is another.
    """
    name = _name(request.headers.get("Host", ""))
    bound = _name(bind)
    if _is_loopback(name) or name == bound:
        return
    if not _is_loopback(bound) and name and (_address(name) or "." not in name):
        return
    raise Forbidden(
        f"Host {name or 'missing or malformed'}: the control plane answers to a loopback address "
        f"or localhost{'' if _is_loopback(bound) else ', any address, or a name without a dot'}"
    )


def require_own_origin(request: Request) -> None:
    """Refuse a request that a page of another site has sent.

    Raises:
        Forbidden: its `Origin` is not our own address.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.headers['Host']}":
        raise Forbidden(f"Origin {origin[:255]}: the control plane takes orders from its own page")


def require_json(request: Request) -> None:
    """Refuse what a form could send: a body, or a method that has one, without JSON's type.

    Raises:
        UnsupportedMediaType: it has another.
    """
    has_body = request.method in _WITH_BODY or request.content_length
    if has_body and request.mimetype != "application/json":
        raise UnsupportedMediaType(
            f"{request.method} needs Content-Type: application/json; {{}} will do for a body "
            "that says nothing"
        )


def _name(host: str) -> str:
    """Return what stands before the port, in lower case and without brackets; empty for none."""
    match = _HOST.fullmatch(host)
    return match["name"].lower().strip("[]") if match else ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return address.is_loopback if address else name == "localhost"
