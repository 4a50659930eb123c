"""The port of identity v2.0 over the embedded cloud's identity."""

from collections.abc import Mapping
from typing import Any

from nova_image_shim.adapters.identity_port import (
    API_KEY,
    PASSWORD,
    TOKEN,
    Asker,
    IdentityService,
    IssuedToken,
    Login,
    Named,
)
from nova_image_shim.fakecloud.identity.bodies import token_v3
from nova_image_shim.fakecloud.identity.identity import Token, Unauthorized
from nova_image_shim.fakecloud.identity.login import identity, own_token, subject
from nova_image_shim.fakecloud.seed import Project, User


class EmbeddedIdentity(IdentityService):
    """The running application's identity; the asker is that of the current request."""

    def log_in(self, _asker: Asker, login: Login) -> IssuedToken:
        """Return a new token; raise `Unauthorized` for a wrong login."""
        user, parent = _who(login)
        method = API_KEY if login.method == API_KEY else "token" if parent else "password"
        return _issued(identity().issue(user, _project(login, user), (method,), parent))

    def show(self, _asker: Asker, token_id: str) -> IssuedToken:
        """Return a token."""
        return _issued(subject(token_id))

    def revoke(self, _asker: Asker, token_id: str) -> None:
        """Revoke a token."""
        identity().revoke(subject(token_id).id)

    def projects(self, _asker: Asker) -> list[Mapping[str, Any]]:
        """Return the asker's projects."""
        found = identity().projects_of(own_token().user)
        return [{"id": project.id, "name": project.name} for project in found]


def _issued(token: Token) -> IssuedToken:
    data = token_v3(token, with_catalog=True)["token"]
    return IssuedToken(token.id, data, is_rackspace=API_KEY in token.methods)


def _who(login: Login) -> tuple[User, Token | None]:
    """Return the user, and the token that was used to log in, if any."""
    if login.method == TOKEN:
        parent = identity().require(login.secret)
        return parent.user, parent
    named = login.user or Named()
    if login.method == PASSWORD:
        return identity().log_in(named, login.secret), None
    user = identity().user(named)
    if user.api_key != login.secret:
        raise Unauthorized(f"wrong API key for user {user.name!r}")
    return user, None


def _project(login: Login, user: User) -> Project | None:
    """Return the requested project; with an API key, the user's first by default."""
    if login.project:
        return identity().project(login.project)
    projects = identity().projects_of(user) if login.method == API_KEY else []
    return projects[0] if projects else None
