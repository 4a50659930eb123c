"""Users, projects and tokens of the embedded cloud: state and rules, no HTTP.

Nothing here is secure: everyone who reads the documentation knows the passwords.
"""

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cachetools import TLRUCache

from nova_image_shim.adapters.identity_port import Named
from nova_image_shim.fakecloud.seed import Project, Seed, User

FIXED_TOKENS = ("demo", "alt", "admin")
APPLICATION_CREDENTIAL = "application_credential"
_MAX_TOKENS = 10_000
_Item = TypeVar("_Item", User, Project)


DOMAIN = Named("default", "Default")  # the only one
SYSTEM = Named(name="system")
Scope = Project | Named | None  # a project, DOMAIN or SYSTEM


class Unauthorized(Exception):
    """The login is refused; the text gives the reason, for the log only."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, perhaps without a scope.

    Args:
        methods: how its user got it: `password`, `token`, `application_credential`, `apikey`.
        audit_ids: its own, and that of the first login if that is another.
    """

    id: str = field(repr=False)
    user: User
    scope: Scope
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    audit_ids: tuple[str, ...]

    @property
    def project(self) -> Project | None:
        """Return the project that the token is for, if any."""
        return self.scope if isinstance(self.scope, Project) else None

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the names of the user's roles in the scope."""
        return roles_in(self.scope, self.user)


def roles_in(scope: Scope, user: User) -> tuple[str, ...]:
    """Return a user's roles; an admin of any project is admin of the domain and the system."""
    if isinstance(scope, Project):
        return user.roles.get(scope.id, ())
    is_admin = any("admin" in names for names in user.roles.values())
    return ("admin",) if scope and is_admin else ()


class Identity:
    """Users and projects of a seed, and valid tokens by the cloud's clock."""

    def __init__(self, seed: Seed, now: Callable[[], datetime]) -> None:
        self._seed = seed
        self.projects_of = seed.projects_of
        self._now = now
        self._lock = threading.Lock()
        # The tokens that always work: each is the name of its project.
        self.fixed = {name: found for name in FIXED_TOKENS if (found := self._holder(name))}
        self.reset()

    def reset(self) -> None:
        """Revoke all tokens but the fixed ones, and let new ones last as the seed says."""
        with self._lock:
            self.token_seconds: float = self._seed.token_seconds
            self._tokens: TLRUCache[str, Token] = TLRUCache(
                _MAX_TOKENS,
                ttu=lambda _id, token, _now: token.expires_at.timestamp(),
                timer=lambda: self._now().timestamp(),
            )

    def user(self, named: Named, domain: Named = DOMAIN) -> User:
        """Return a user by id, or by name and domain, or raise `Unauthorized`."""
        return _find("user", self._seed.users, named, domain)

    def project(self, named: Named, domain: Named = DOMAIN) -> Project:
        """Return a project by id, or by name and domain, or raise `Unauthorized`."""
        return _find("project", self._seed.projects, named, domain)

    def log_in(self, named: Named, password: str, domain: Named = DOMAIN) -> User:
        """Return the user of a name and a password, or raise `Unauthorized`."""
        user = self.user(named, domain)
        if user.password != password:
            raise Unauthorized(f"wrong password for user {user.name!r}")
        return user

    def use_credential(self, named: Named, secret: str, owner: Named, domain: Named) -> User:
        """Return the owner of an application credential, or raise `Unauthorized`.

        Each user with a project has one for the first: its id, name and secret are the user's id,
        name and password. It is found by its id, or by its name and owner.
        """
        user = self.log_in(named if named.id else owner, secret, domain)
        if not (named.id or named.name == user.name) or not self.projects_of(user):
            raise Unauthorized(f"user {user.name!r} has no such application credential")
        return user

    def issue(
        self,
        user: User,
        scope: Scope,
        methods: tuple[str, ...],
        parent: Token | None = None,
    ) -> Token:
        """Return a new token; one from another token expires with that one.

        Raises:
            Unauthorized: the user has no role in the scope.
        """
        if scope and not roles_in(scope, user):
            kind = "project " if isinstance(scope, Project) else ""
            raise Unauthorized(f"user {user.name!r} has no role in {kind}{scope.name!r}")
        now = self._now()
        token = Token(
            id=uuid.uuid4().hex,
            user=user,
            scope=scope,
            methods=tuple(dict.fromkeys((*(parent.methods if parent else ()), *methods))),
            issued_at=now,
            expires_at=parent.expires_at if parent else self._end(now),
            audit_ids=(uuid.uuid4().hex[:22], *(parent.audit_ids[-1:] if parent else ())),
        )
        with self._lock:
            self._tokens[token.id] = token
        return token

    def validate(self, token_id: str) -> Token | None:
        """Return a valid token, None for any other id."""
        if fixed := self.fixed.get(token_id):
            now = self._now()
            return Token(token_id, *fixed, ("password",), now, self._end(now), (token_id,))
        with self._lock:
            return self._tokens.get(token_id)

    def require(self, token_id: str) -> Token:
        """Return a valid token, or raise `Unauthorized`."""
        if token := self.validate(token_id):
            return token
        problem = "invalid or expired" if token_id else "missing"
        fixed = f"these always work: {', '.join(self.fixed)}" if self.fixed else ""
        raise Unauthorized(f"the token is {problem}; {fixed or '/_fake/ shows how to log in'}")

    def usual_login(self) -> tuple[User, Project] | None:
        """Return the holder of a fixed token, or else the first user with a project."""
        others = ((user, self.projects_of(user)) for user in self._seed.users)
        found = (*self.fixed.values(), *((user, own[0]) for user, own in others if own))
        return next(iter(found), None)

    def token_for(self, user: User, project: Project | None) -> str:
        """Return the project's fixed token, or a new one if it has none."""
        if project and project.name in self.fixed:
            return project.name
        return self.issue(user, project, ("password",)).id

    def revoke(self, token_id: str) -> None:
        """Revoke a token; a fixed one stays valid."""
        with self._lock:
            self._tokens.pop(token_id, None)

    def _end(self, now: datetime) -> datetime:
        try:
            return now + timedelta(seconds=self.token_seconds)
        except OverflowError:  # the clock is in the year 9999
            return datetime.max.replace(tzinfo=UTC)

    def _holder(self, name: str) -> tuple[User, Project] | None:
        """Return user and project of a fixed token; None if no project has its name.

        The user is the one with the same name, another one of the project, or an invented one.
        """
        for project in self._seed.projects:
            if project.name == name:
                users = [user for user in self._seed.users if project in self.projects_of(user)]
                users.sort(key=lambda user: user.name != name)
                made_up = User(name, name, "", "", {project.id: ("member",)})
                return (users or [made_up])[0], project
        return None


def _find(kind: str, items: Iterable[_Item], named: Named, domain: Named) -> _Item:
    """Return the item with an id, or a name in a domain."""
    for item in items:
        by_name = named.id is None and is_domain(domain) and item.name == named.name
        if by_name or item.id == named.id:
            return item
    raise Unauthorized(f"{kind} {named.id or named.name!r} does not exist in the domain")


def is_domain(named: Named) -> bool:
    """Tell whether the domain is meant; its name ignores case, as in Keystone on MySQL."""
    return named.id == DOMAIN.id or (named.name or "").casefold() == "default"
