"""Identity v3, as much of it as a client needs to log in and find services.

Source: keystone at 30.0.0, keystone/api/auth.py and keystone/common/render_token.py.
"""

from typing import Any

from flask import Blueprint, Response, request

from nova_image_shim.fakecloud.identity.bodies import catalog_v3, token_v3
from nova_image_shim.fakecloud.identity.identity import DOMAIN, Named, Token, Unauthorized
from nova_image_shim.fakecloud.identity.responses import (
    identity,
    keystone_answer,
    own_token,
    subject,
)
from nova_image_shim.fakecloud.identity.schemas import AuthV3, load_auth
from nova_image_shim.fakecloud.seed import Project, User
from nova_image_shim.web.current import compute_base
from nova_image_shim.web.errors import HTTPError

blueprint = Blueprint("identity_v3", __name__)


@blueprint.post("/auth/tokens")
def issue() -> Response:
    """Log in: 201 `{"token": {...}}`, the token itself in `X-Subject-Token`.

    Errors: 400 for an invalid body, 401 for a wrong user, password, token or scope.
    """
    auth = load_auth(AuthV3)
    user, parent = _who(auth["identity"])
    project = _scope(auth.get("scope") or {})
    methods = tuple(auth["identity"]["methods"])
    return _token_answer(identity().issue(user, project, methods, parent), 201)


@blueprint.get("/auth/tokens")
def validate() -> Response:
    """Show the token in `X-Subject-Token`: 200 as `issue`; 404 if it is invalid."""
    return _token_answer(_subject(), 200)


@blueprint.delete("/auth/tokens")
def revoke() -> Response:
    """Revoke the token in `X-Subject-Token`: 204; 404 if it is invalid."""
    identity().revoke(_subject().id)
    return Response(status=204)


@blueprint.get("/auth/catalog")
def show_catalog() -> Response:
    """Show the catalog of the caller's token: 200 `{"catalog": [...], "links": {...}}`."""
    token = own_token()
    if token.project is None:
        raise HTTPError(403, "A project-scoped token is required to produce a service catalog.")
    return keystone_answer({"catalog": catalog_v3(token), "links": {"self": _url("auth/catalog")}})


@blueprint.get("/auth/projects")
def own_projects() -> Response:
    """List the projects of the caller: 200 `{"projects": [...], "links": {...}}`."""
    return _projects(own_token().user, "auth/projects")


@blueprint.get("/users/<user_id>/projects")
def projects_of_user(user_id: str) -> Response:
    """List the projects of any user: 200 as `own_projects`; 404 for an unknown user."""
    own_token()
    try:
        user = identity().user(Named(id=user_id))
    except Unauthorized as error:
        raise HTTPError(404, f"Could not find user: {user_id}.") from error
    return _projects(user, f"users/{user_id}/projects")


@blueprint.get("/auth/domains")
def own_domains() -> Response:
    """List the domains in which the caller has a role: 200, always empty."""
    own_token()
    return keystone_answer({"domains": [], "links": _list_links("auth/domains")})


def _who(asked: dict[str, Any]) -> tuple[User, Token | None]:
    """Return the user, and the token that was used to log in, if any."""
    unknown = set(asked["methods"]) - {"password", "token"}
    if unknown:
        raise Unauthorized(f"unsupported login methods: {', '.join(sorted(unknown))}")
    parent = None
    users = []
    if "token" in asked["methods"]:
        parent = identity().require(asked["token"]["id"])
        users.append(parent.user)
    if "password" in asked["methods"]:
        user = asked["password"]["user"]
        named, domain = _named(user)
        users.append(identity().log_in(named, user["password"], domain))
    if users[0] != users[-1]:
        raise Unauthorized("password and token belong to different users")
    return users[0], parent


def _scope(asked: dict[str, Any]) -> Project | None:
    for other in ("domain", "system"):
        if other in asked:
            raise Unauthorized(f"tokens cannot be scoped to a {other}, only to a project")
    return identity().project(*_named(asked["project"])) if "project" in asked else None


def _named(asked: dict[str, Any]) -> tuple[Named, Named]:
    """Return the name of an item and of its domain."""
    domain = asked.get("domain", {})
    return Named(asked.get("id"), asked.get("name")), Named(domain.get("id"), domain.get("name"))


def _subject() -> Token:
    return subject(request.headers.get("X-Subject-Token", "").strip())


def _projects(user: User, path: str) -> Response:
    projects = [_project(project) for project in identity().projects_of(user)]
    return keystone_answer({"projects": projects, "links": _list_links(path)})


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": DOMAIN.id,
        "description": "",
        "enabled": True,
        "parent_id": DOMAIN.id,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": _url(f"projects/{project.id}")},
    }


def _list_links(path: str) -> dict[str, str | None]:
    return {"next": None, "self": _url(path), "previous": None}


def _url(path: str) -> str:
    return f"{compute_base()}/identity/v3/{path}"


def _token_answer(token: Token, status: int) -> Response:
    body = token_v3(token, with_catalog="nocatalog" not in request.args)
    response = keystone_answer(body, status)
    response.headers["X-Subject-Token"] = token.id
    return response
