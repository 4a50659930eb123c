"""What identity v2.0 needs from an identity service: the port, in Keystone v3's terms."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PASSWORD, TOKEN, API_KEY, ACCESS_KEY = "password", "token", "apikey", "accesskey"


class Named(NamedTuple):
    """How a request names a domain, a project or a user: by id, by name or not at all."""

    id: str | None = None
    name: str | None = None


class Asker(NamedTuple):
    """Who sent a request: the token in its header and the address of the client, or empty texts."""

    token: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """A login with what the client sent.

    Args:
        method: `PASSWORD`, `TOKEN`, `API_KEY` or `ACCESS_KEY`.
        secret: the password, the token or the key.
        user: by id, or by name in the one domain of v2.0; nobody in a login by token.
        project: by id, or by name in that domain. Without one the token is unscoped; a login by
            API key gets the user's default project.
    """

    method: str
    secret: str = field(repr=False)
    user: Named | None = None
    project: Named | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and what v3 says about it: `{"user": {...}, "project": {...}, "catalog": [...]}`."""

    id: str = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    is_rackspace: bool = False  # obtained with an API key


class IdentityError(Exception):
    """The identity service refuses a request.

    Args:
        status: 400, 401, 403, 404 or 413.
        message: the text for the client, None for the status's own.
    """

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(message or f"refused with {status}")
        self.status = status
        self.message = message


class IdentityService(ABC):
    """An identity service. Every method may raise `IdentityError`."""

    @abstractmethod
    def log_in(self, asker: Asker, login: Login) -> IssuedToken:
        """Return a new token."""

    @abstractmethod
    def show(self, asker: Asker, token_id: str) -> IssuedToken:
        """Return a token that the asker may see."""

    @abstractmethod
    def revoke(self, asker: Asker, token_id: str) -> None:
        """Revoke a token."""

    @abstractmethod
    def projects(self, asker: Asker) -> Sequence[Mapping[str, Any]]:
        """Return the asker's projects in the one domain: `id`, `name`, `enabled`, `description`."""
