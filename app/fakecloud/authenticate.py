"""Authentication by the embedded identity."""

from flask import Request

from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.auth.caller import Caller
from nova_image_shim.auth.errors import Unauthenticated
from nova_image_shim.fakecloud.identity.identity import Identity


class FakeAuthenticate:
    """Find the caller of a token in the embedded identity.

    Args:
        identity: knows the valid tokens.
        accept_any: accept any token instead, as `auth.accept_any_token` does.
    """

    def __init__(self, identity: Identity, *, accept_any: bool = False) -> None:
        self._identity = identity
        self._accept_any = accept_any

    def __call__(self, request: Request, project_id: str | None, /) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: the token is missing or invalid.
        """
        if self._accept_any:
            return accept_any_token(request, project_id)
        token = self._identity.validate(request.headers.get("X-Auth-Token", "").strip())
        if token is None:
            raise Unauthenticated
        project_id = token.project.id if token.project else None
        return Caller(token.user.id, project_id, roles=frozenset(token.roles))
