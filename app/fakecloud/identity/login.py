"""Logins by v3 and v2.0: who logs in, by which methods, and for what scope.

Source: keystone at 30.0.0, keystone/auth/core.py and keystone/auth/plugins.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from nova_image_shim.adapters import identity_port as port
from nova_image_shim.adapters.identity_port import Named
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.identity.bodies import token_v3
from nova_image_shim.fakecloud.identity.identity import (
    APPLICATION_CREDENTIAL,
    DOMAIN,
    SYSTEM,
    Identity,
    Scope,
    Token,
    Unauthorized,
    is_domain,
)
from nova_image_shim.fakecloud.seed import Project, User
from nova_image_shim.identity_v2.responses import keystone_error
from nova_image_shim.web.errors import HTTPError

_log = logging.getLogger(__name__)

_NO_SCOPE = (
    "Error authenticating with application credential: Application credentials cannot request a "
    "scope."
)
_NOT_ALLOWED = "You are not authorized to perform the requested action: {} is not allowed.."


def identity() -> Identity:
    """Return the running application's identity."""
    return current_cloud().identity


def own_token() -> Token:
    """Return the request's token.

    Raises:
        Unauthorized: it is missing or invalid.
    """
    return identity().require(request.headers.get("X-Auth-Token", "").strip())


def subject(token_id: str) -> Token:
    """Return a token that the bearer of another one asks about.

    Raises:
        Unauthorized: the request's own token is missing or invalid.
        HTTPError: 404; the token in question is invalid.
    """
    own_token()
    if token := identity().validate(token_id):
        return token
    raise HTTPError(404, "Failed to validate token")


def user_or_404(user_id: str, message: str) -> User:
    """Return a user by id, or raise a 404 with a message."""
    try:
        return identity().user(Named(id=user_id))
    except Unauthorized as error:
        raise HTTPError(404, message) from error


def unauthorized(error: Unauthorized) -> Response:
    """Log the reason; the client is told no more than Keystone tells."""
    _log.info("401: %.255s", error)  # it names what the client sent
    return keystone_error(401)


def log_in(auth: dict[str, Any]) -> Token:
    """Return a new token for a body that `AuthV3` has loaded.

    Raises:
        Unauthorized: a wrong user, password, token, credential or scope.
        HTTPError: 401 for a credential with a scope, 403 for a token that may not be exchanged, 404
            for an unknown credential.
    """
    methods = tuple(auth["identity"]["methods"])
    if APPLICATION_CREDENTIAL in methods and "scope" in auth:
        raise HTTPError(401, _NO_SCOPE)
    user, parent = _who(auth["identity"])
    if APPLICATION_CREDENTIAL in methods:
        scope: Scope = identity().projects_of(user)[0]
    else:
        scope = _scope(auth.get("scope") or {})
    if parent:
        _require_exchangeable(parent, scope)
    return identity().issue(user, scope, methods, parent)


def _who(asked: dict[str, Any]) -> tuple[User, Token | None]:
    """Return the user, and the token that was used to log in, if any."""
    unknown = set(asked["methods"]) - _METHODS.keys()
    if unknown:
        raise Unauthorized(f"unsupported login methods: {', '.join(sorted(unknown))}")
    found = [_METHODS[method](asked[method]) for method in asked["methods"]]
    users, parents = zip(*found, strict=True)
    if any(user != users[0] for user in users):
        raise Unauthorized("the login methods belong to different users")
    return users[0], next(filter(None, parents), None)


def _by_password(asked: dict[str, Any]) -> tuple[User, None]:
    named, domain = _named(asked["user"])
    return identity().log_in(named, asked["user"]["password"], domain), None


def _by_token(asked: dict[str, Any]) -> tuple[User, Token]:
    parent = identity().require(asked["id"])
    return parent.user, parent


def _by_credential(asked: dict[str, Any]) -> tuple[User, None]:
    named = Named(asked.get("id"), asked.get("name"))
    if named.id:
        user_or_404(named.id, f"Could not find Application Credential: {named.id}.")
    return identity().use_credential(named, asked["secret"], *_named(asked.get("user", {}))), None


_METHODS: dict[str, Callable[[dict[str, Any]], tuple[User, Token | None]]] = {
    "password": _by_password,
    "token": _by_token,
    APPLICATION_CREDENTIAL: _by_credential,
}


def _scope(asked: dict[str, Any]) -> Scope:
    if "system" in asked:
        return SYSTEM
    if "domain" in asked:
        if not is_domain(Named(asked["domain"].get("id"), asked["domain"].get("name"))):
            raise Unauthorized("the domain does not exist")
        return DOMAIN
    return identity().project(*_named(asked["project"])) if "project" in asked else None


def _require_exchangeable(parent: Token, scope: Scope) -> None:
    """Refuse to make a token of one that is limited on purpose.

    Raises:
        HTTPError: 403.
    """
    if APPLICATION_CREDENTIAL in parent.methods:
        action = "Using a delegated token to create another token"
        raise HTTPError(403, _NOT_ALLOWED.format(action))
    if parent.scope == SYSTEM and scope not in {None, SYSTEM}:
        action = "Using a system-scoped token to create a project-scoped or domain-scoped token"
        raise HTTPError(403, _NOT_ALLOWED.format(action))


def _named(asked: dict[str, Any]) -> tuple[Named, Named]:
    """Return the name of an item and of its domain."""
    domain = asked.get("domain", {})
    return Named(asked.get("id"), asked.get("name")), Named(domain.get("id"), domain.get("name"))


class EmbeddedIdentity(port.IdentityService):
    """The running application's identity; the asker is that of the current request."""

    def log_in(self, _asker: port.Asker, login: port.Login) -> port.IssuedToken:
        """Return a new token; raise `Unauthorized` for a wrong login."""
        user, parent = _who_v2(login)
        method = port.API_KEY if login.method == port.API_KEY else "token" if parent else "password"
        return _issued(identity().issue(user, _project(login, user), (method,), parent))

    def show(self, _asker: port.Asker, token_id: str) -> port.IssuedToken:
        """Return a token."""
        return _issued(subject(token_id))

    def revoke(self, _asker: port.Asker, token_id: str) -> None:
        """Revoke a token."""
        identity().revoke(subject(token_id).id)

    def projects(self, _asker: port.Asker) -> list[Mapping[str, Any]]:
        """Return the asker's projects."""
        found = identity().projects_of(own_token().user)
        return [{"id": project.id, "name": project.name} for project in found]


def _issued(token: Token) -> port.IssuedToken:
    data = token_v3(token, with_catalog=True)["token"]
    return port.IssuedToken(token.id, data, is_rackspace=port.API_KEY in token.methods)


def _who_v2(login: port.Login) -> tuple[User, Token | None]:
    """Return the user, and the token that was used to log in, if any."""
    if login.method == port.TOKEN:
        return _by_token({"id": login.secret})
    named = login.user or Named()
    if login.method == port.PASSWORD:
        return identity().log_in(named, login.secret), None
    user = identity().user(named)
    if user.api_key != login.secret:
        raise Unauthorized(f"wrong API key for user {user.name!r}")
    return user, None


def _project(login: port.Login, user: User) -> Project | None:
    """Return the requested project; with an API key, the user's first by default."""
    if login.project:
        return identity().project(login.project)
    projects = identity().projects_of(user) if login.method == port.API_KEY else []
    return projects[0] if projects else None
