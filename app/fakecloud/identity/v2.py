"""Identity v2.0, which Keystone dropped in 2018 and old clients still speak, API keys included.

Source: keystone at 8.0.0, keystone/token/controllers.py and keystone/common/controller.py; the
extension RAX-KSKEY is Rackspace's.
"""

from typing import Any

from flask import Blueprint, Response

from nova_image_shim.fakecloud.identity.bodies import tenant, token_v2
from nova_image_shim.fakecloud.identity.identity import API_KEY, Named, Token, Unauthorized
from nova_image_shim.fakecloud.identity.responses import (
    identity,
    keystone_answer,
    own_token,
    subject,
)
from nova_image_shim.fakecloud.identity.schemas import AuthV2, load_auth
from nova_image_shim.fakecloud.seed import Project, User

blueprint = Blueprint("identity_v2", __name__)


@blueprint.post("/tokens")
def issue() -> Response:
    """Log in: 200 `{"access": {"token", "user", "serviceCatalog", "metadata"}}`.

    Errors: 400 for an invalid body, 401 for a wrong user, password, API key, token or tenant.
    """
    auth = load_auth(AuthV2)
    user, method, parent = _who(auth)
    token = identity().issue(user, _tenant(auth, user, method), (method,), parent)
    return keystone_answer(token_v2(token))


@blueprint.get("/tokens/<token_id>")
def validate(token_id: str) -> Response:
    """Show a token: 200 as `issue`; 404 if it is invalid."""
    return keystone_answer(token_v2(subject(token_id)))


@blueprint.delete("/tokens/<token_id>")
def revoke(token_id: str) -> Response:
    """Revoke a token: 204; 404 if it is invalid."""
    identity().revoke(subject(token_id).id)
    return Response(status=204)


@blueprint.get("/tenants")
def tenants() -> Response:
    """List the caller's projects: 200 `{"tenants": [...], "tenants_links": []}`."""
    found = [tenant(project) for project in identity().projects_of(own_token().user)]
    return keystone_answer({"tenants": found, "tenants_links": []})


def _who(auth: dict[str, Any]) -> tuple[User, str, Token | None]:
    """Return the user, the method, and the token that was used to log in, if any."""
    if asked := auth.get("token"):
        parent = identity().require(asked["id"])
        return parent.user, "token", parent
    if asked := auth.get("password"):
        named = Named(asked.get("user_id"), asked.get("username"))
        return identity().log_in(named, asked["password"]), "password", None
    asked = auth.get("api_key") or auth["access_key"]
    user = identity().user(Named(name=asked["username"]))
    if user.api_key != asked["secret"]:
        raise Unauthorized(f"wrong API key for user {user.name!r}")
    return user, API_KEY if "api_key" in auth else "password", None


def _tenant(auth: dict[str, Any], user: User, method: str) -> Project | None:
    """Return the requested project; with an API key, the user's first by default."""
    if (tenant_id := auth.get("tenant_id")) or auth.get("tenant_name"):
        return identity().project(Named(tenant_id or None, auth.get("tenant_name")))
    projects = identity().projects_of(user) if method == API_KEY else []
    return projects[0] if projects else None
