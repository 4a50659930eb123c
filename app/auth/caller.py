"""Who makes a request: the `Caller`, and how a request becomes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Request
    from keystoneauth1.plugin import BaseAuthPlugin


@dataclass(frozen=True, slots=True)
class Caller:
    """The user and project that a token stands for.

    Args:
        user_id: the user.
        project_id: the project, None for a token without one.
        auth: the token and its catalog, for the image store.
        roles: the names of the user's roles in the project.
        token: all that Keystone returns about the token.
    """

    user_id: str
    project_id: str | None
    auth: BaseAuthPlugin | None = None
    roles: frozenset[str] = frozenset()
    token: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Authenticate(Protocol):
    """How a request becomes a caller: with Keystone, or with the embedded cloud."""

    def __call__(self, request: Request, project_id: str | None, /) -> Caller:
        """Return the caller.

        Args:
            request: the current request.
            project_id: the project in its path, None where the path has none.

        Raises:
            Unauthenticated: there is no valid token.
            KeystoneUnavailable: Keystone did not answer.
        """
