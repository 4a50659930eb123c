"""Who makes a request: the `Caller`, and how a request becomes one."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request
from keystoneauth1.plugin import BaseAuthPlugin

from nova_image_shim.translation.ascii_json import to_json

# What differs between two tokens of one user, project, role and scope.
_VOLATILE_TOKEN_FIELDS = set(
    "auth_token audit_ids catalog expires_at issued_at methods version".split()
)


class Unauthenticated(Exception):
    """The request has no token, or one that Keystone does not know; a text is for the log only."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The user and project that a token stands for."""

    user_id: str
    project_id: str | None  # None for a token without one
    auth: BaseAuthPlugin | None = None  # the token and its catalog, for the image store
    roles: frozenset[str] = frozenset()  # names of the user's roles in the project
    # All that Keystone returns about the token.
    token: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_unscoped(self) -> bool:
        """Return whether the token is for no project, domain or system, so that it has no roles."""
        return self.project_id is None and self.token.keys().isdisjoint({"domain", "system"})

    @property
    def owner(self) -> Hashable:
        """Return a key that is equal for callers who see the same images in Glance."""
        scope = {
            name: sorted(value, key=str) if isinstance(value, list) else value
            for name, value in self.token.items()
            if name not in _VOLATILE_TOKEN_FIELDS
        }
        return self.user_id, self.project_id, self.roles, to_json(sorted(scope.items()))


# Makes a caller of a request and of the project in its path, None where the path has none.
# Raises Unauthenticated without a valid token, KeystoneUnavailable if Keystone did not answer.
Authenticate = Callable[[Request, str | None], Caller]
