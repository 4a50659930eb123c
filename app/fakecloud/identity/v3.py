"""Identity v3, as much of it as a client needs to log in and find services.

Source: keystone at 30.0.0, keystone/api/auth.py and keystone/common/render_token.py.
"""

from typing import Any

from flask import Blueprint, Response, request

from nova_image_shim.fakecloud.identity import login
from nova_image_shim.fakecloud.identity.bodies import catalog_v3, token_v3
from nova_image_shim.fakecloud.identity.identity import DOMAIN, SYSTEM, Token, roles_in
from nova_image_shim.fakecloud.identity.schemas import AuthV3
from nova_image_shim.fakecloud.seed import Project, User
from nova_image_shim.identity_v2.responses import keystone_answer
from nova_image_shim.identity_v2.schemas import load_auth
from nova_image_shim.web.current import compute_base
from nova_image_shim.web.errors import HTTPError

blueprint = Blueprint("identity_v3", __name__)


@blueprint.post("/auth/tokens")
def issue() -> Response:
    """Log in: 201 `{"token": {...}}`, the token itself in `X-Subject-Token`.

    Errors: 400 for an invalid body, 401 for a wrong user, password, token or scope, 403 for a token
    that may not be exchanged.
    """
    return _token_answer(login.log_in(load_auth(AuthV3)), 201)


@blueprint.get("/auth/tokens")
def validate() -> Response:
    """Show the token in `X-Subject-Token`: 200 as `issue`; 404 if it is invalid."""
    return _token_answer(_subject(), 200)


@blueprint.delete("/auth/tokens")
def revoke() -> Response:
    """Revoke the token in `X-Subject-Token`: 204; 404 if it is invalid."""
    login.identity().revoke(_subject().id)
    return Response(status=204)


@blueprint.get("/auth/catalog")
def show_catalog() -> Response:
    """Show the catalog of the caller's token: 200 `{"catalog": [...], "links": {...}}`."""
    token = login.own_token()
    if token.project is None:
        raise HTTPError(403, "A project-scoped token is required to produce a service catalog.")
    return keystone_answer({"catalog": catalog_v3(token), "links": {"self": _url("auth/catalog")}})


@blueprint.get("/auth/projects")
def own_projects() -> Response:
    """List the projects of the caller: 200 `{"projects": [...], "links": {...}}`."""
    return _projects(login.own_token().user, "auth/projects")


@blueprint.get("/projects")
@blueprint.get("/projects/<_project_id>")
def all_projects(_project_id: str = "") -> Response:
    """Refuse to show projects, as to a user: 403, and clients take what they have for an id."""
    login.own_token()
    action = "get_project" if _project_id else "list_projects"
    raise HTTPError(
        403, f"You are not authorized to perform the requested action: identity:{action}."
    )


@blueprint.get("/users/<user_id>/projects")
def projects_of_user(user_id: str) -> Response:
    """List the projects of any user: 200 as `own_projects`; 404 for an unknown user."""
    login.own_token()
    user = login.user_or_404(user_id, f"Could not find user: {user_id}.")
    return _projects(user, f"users/{user_id}/projects")


@blueprint.get("/auth/domains")
def own_domains() -> Response:
    """List the domains in which the caller has a role: 200 `{"domains": [...], "links": {...}}`."""
    domain = {**_described(DOMAIN.id, DOMAIN.name), "links": {"self": _url("domains/default")}}
    domains = [domain] if roles_in(DOMAIN, login.own_token().user) else []
    return keystone_answer({"domains": domains, "links": _list_links("auth/domains")})


@blueprint.get("/auth/system")
def own_system() -> Response:
    """Tell whether the caller has a role on the system: 200 `{"system": [...], "links": {...}}`."""
    system = [{"all": True}] if roles_in(SYSTEM, login.own_token().user) else []
    return keystone_answer({"system": system, "links": {"self": _url("auth/system")}})


def _subject() -> Token:
    return login.subject(request.headers.get("X-Subject-Token", "").strip())


def _projects(user: User, path: str) -> Response:
    projects = [_project(project) for project in login.identity().projects_of(user)]
    return keystone_answer({"projects": projects, "links": _list_links(path)})


def _project(project: Project) -> dict[str, Any]:
    return {
        **_described(project.id, project.name),
        "domain_id": DOMAIN.id,
        "parent_id": DOMAIN.id,
        "is_domain": False,
        "links": {"self": _url(f"projects/{project.id}")},
    }


def _described(id_: str | None, name: str | None) -> dict[str, Any]:
    """Return what a domain and a project have in common."""
    usual = {"description": "", "enabled": True, "tags": [], "options": {}}
    return {"id": id_, "name": name, **usual}


def _list_links(path: str) -> dict[str, str | None]:
    return {"next": None, "self": _url(path), "previous": None}


def _url(path: str) -> str:
    return f"{compute_base()}/identity/v3/{path}"


def _token_answer(token: Token, status: int) -> Response:
    body = token_v3(token, with_catalog="nocatalog" not in request.args)
    response = keystone_answer(body, status)
    response.headers["X-Subject-Token"] = token.id
    return response
