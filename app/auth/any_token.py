"""Who may ask where nobody is asked who it is: anyone with a token of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g

from nova_image_shim.api.errors import Unauthenticated
from nova_image_shim.web.current import Caller

if TYPE_CHECKING:
    from flask import Request


def accept_any_token(request: Request) -> Caller:
    """Take any token for the project in the path: the way of `SHIM_FAKE_OPEN`.

    Where the path names no project it is the one of the token's own name.

    Raises:
        Unauthenticated: there is no token.
    """
    token = request.headers.get("X-Auth-Token", "").strip()
    if not token:
        raise Unauthenticated
    return Caller("-", g.tenant_id or token)
