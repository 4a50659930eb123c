"""Identity v2.0, which Keystone dropped in 2018 and old clients still speak, API keys included.

Source: keystone at 8.0.0, keystone/token/controllers.py and keystone/common/controller.py; the
extension RAX-KSKEY is Rackspace's.
"""

from typing import Any

from flask import Blueprint, Response

from nova_image_shim.fakecloud.identity.catalog import REGION, facts, services
from nova_image_shim.fakecloud.identity.identity import API_KEY, Named, Token, Unauthorized
from nova_image_shim.fakecloud.identity.responses import (
    keystone_answer,
)
from nova_image_shim.fakecloud.identity.schemas import AuthV2, load_auth
from nova_image_shim.fakecloud.identity.token_bodies import Ref, tenant, token_v2
from nova_image_shim.fakecloud.seed import Project, User
from nova_image_shim.fakecloud.state import identity, own_token
from nova_image_shim.web.errors import HTTPError

blueprint = Blueprint("identity_v2", __name__)

_AUTH = AuthV2()


@blueprint.post("/tokens")
def issue() -> Response:
    """Log in: 200 `{"access": {"token", "user", "serviceCatalog", "metadata"}}`.

    Errors: 400 for an invalid body, 401 for a wrong user, password, API key, token or tenant.
    """
    auth = load_auth(_AUTH)
    user, method, parent = _who(auth)
    token = identity().issue(user, _tenant(auth, user, method), (method,), parent)
    return keystone_answer(to_v2(token))


@blueprint.get("/tokens/<token_id>")
def validate(token_id: str) -> Response:
    """Show a token: 200 as `issue`; 404 if it is invalid."""
    own_token()
    token = identity().validate(token_id)
    if token is None:
        raise HTTPError(404, "Failed to validate token")
    return keystone_answer(to_v2(token))


@blueprint.delete("/tokens/<token_id>")
def revoke(token_id: str) -> Response:
    """Revoke a token: 204; 404 if it is invalid."""
    own_token()
    if identity().validate(token_id) is None:
        raise HTTPError(404, "Failed to validate token")
    identity().revoke(token_id)
    return Response(status=204)


@blueprint.get("/tenants")
def tenants() -> Response:
    """List the caller's projects: 200 `{"tenants": [...], "tenants_links": []}`."""
    projects = identity().projects_of(own_token().user)
    found = [tenant(Ref(project.id, project.name)) for project in projects]
    return keystone_answer({"tenants": found, "tenants_links": []})


def to_v2(token: Token) -> dict[str, Any]:
    """Return a token as v2.0 shows it: `{"access": {...}}`."""
    region = REGION if API_KEY in token.methods else None
    return token_v2(facts(token), services(token, "v2.0"), region)


def _who(auth: dict[str, Any]) -> tuple[User, str, Token | None]:
    """Return the user, the method, and the token that was used to log in, if any."""
    if asked := auth.get("token"):
        parent = identity().validate(asked["id"])
        if parent is None:
            raise Unauthorized("the token to log in with is invalid")
        return parent.user, "token", parent
    if asked := auth.get("password"):
        user = identity().user(Named(asked.get("user_id"), asked.get("username")))
        return _require(user, user.password == asked["password"], "password"), "password", None
    asked = auth.get("api_key") or auth["access_key"]
    user = identity().user(Named(name=asked["username"]))
    method = API_KEY if "api_key" in auth else "password"
    return _require(user, user.api_key == asked["secret"], "API key"), method, None


def _require(user: User, good: bool, what: str) -> User:
    if not good:
        raise Unauthorized(f"wrong {what} for user {user.name!r}")
    return user


def _tenant(auth: dict[str, Any], user: User, method: str) -> Project | None:
    """Return the requested project; with an API key, the user's first by default."""
    if (tenant_id := auth.get("tenant_id")) or auth.get("tenant_name"):
        return identity().project(Named(tenant_id or None, auth.get("tenant_name")))
    projects = identity().projects_of(user) if method == API_KEY else []
    return projects[0] if projects else None
