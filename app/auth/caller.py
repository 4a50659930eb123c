"""Who makes a request: the `Caller`, and how a request becomes one."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import Request
from keystoneauth1.plugin import BaseAuthPlugin

# What differs between two tokens of one user, project, role and scope.
_VOLATILE_TOKEN_FIELDS = set(
    "auth_token audit_ids catalog expires_at issued_at methods version".split()
)


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
    def owner(self) -> Hashable:
        """Return what is equal for callers to whom Glance shows the same images."""
        scope = {
            name: sorted(value, key=str) if isinstance(value, list) else value
            for name, value in self.token.items()
            if name not in _VOLATILE_TOKEN_FIELDS
        }
        return self.user_id, self.project_id, self.roles, json.dumps(scope, sort_keys=True)


class Authenticate(Protocol):
    """How a request becomes a caller: with Keystone, or with the embedded cloud."""

    def __call__(self, request: Request, project_id: str | None, /) -> Caller:
        """Return the caller of a request; `project_id` is the one in its path, if it has one.

        Raises:
            Unauthenticated: there is no valid token.
            KeystoneUnavailable: Keystone did not answer.
        """
