"""Authentication that accepts any token: `SHIM_FAKE_OPEN`."""

from flask import Request

from nova_image_shim.auth.caller import Caller, Unauthenticated


def accept_any_token(request: Request, project_id: str | None) -> Caller:
    """Accept any token for a member of the project in the path, or else of the one it names.

    Raises:
        Unauthenticated: the token is missing.
    """
    token = request.headers.get("X-Auth-Token", "").strip()
    if not token:
        raise Unauthenticated("the token is missing; any text works as one")
    return Caller("-", project_id or token, roles=frozenset({"member"}))
