"""Protect the control plane from pages of other sites that are open in a developer's browser.

A browser reveals such a page: it sends the page's site as `Origin`, it keeps the site's name as
`Host` where that name was made to point to this machine, and it sends JSON to another site only
after a preflight request.
"""

from collections.abc import Collection

from flask import Request

from nova_image_shim.fakecloud.hosts import require_own_host
from nova_image_shim.web.errors import HTTPError

_WITH_BODY = {"POST", "PUT", "PATCH"}


def require_own_page(request: Request, bind: str, hosts: Collection[str]) -> None:
    """Refuse what a page of another site could send.

    Raises:
        HTTPError: 403 for a foreign host or origin, 415 for the content type of a form.
    """
    require_own_host(request.headers.get("Host", ""), bind, hosts, "the control plane")
    _require_own_origin(request)
    _require_json(request)


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
