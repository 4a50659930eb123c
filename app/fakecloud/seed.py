"""What the embedded cloud begins with: images, projects, users, from one file or by default."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates
from marshmallow.validate import Length, NoneOf, Range, Regexp

from nova_image_shim.fakecloud.document import (
    Document,
    ImageFileError,
    Text,
    describe,
    load_document,
    load_items,
)
from nova_image_shim.fakecloud.image_file import complete_images

TOKEN_SECONDS = 3600
_UNIQUE = ("id", "name")
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}")
# What may follow the version in a path without a project.
OWN_WORDS = ("images", "extensions", "limits", "flavors", "servers")
# An id is part of a path, a name of a login; neither needs more than Keystone's own length.
_ID = Regexp(
    r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,63}\Z",
    error="Must be 1 to 64 letters, digits or ._~- and begin with a letter, a digit or _.",
)
_NAME = Length(1, 255)
_SECRET = Length(1, 4096)


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the only domain."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A user of the only domain.

    Args:
        roles: role names by project id; a login by API key uses the first project.
    """

    id: str
    name: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def stable_id(*parts: str) -> str:
    """Return 32 hexadecimal digits that depend on nothing but these names."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)).hex


def _id_of(name: str) -> str:
    """Return a name as an id: itself, or 32 hexadecimal digits if no path can have it."""
    is_usable = _SEGMENT.fullmatch(name) and name not in OWN_WORDS
    return name if is_usable else stable_id("name", name)


class _Project(Schema):
    """A project; its id is its name where a path can have it, unless it has another."""

    name = Text(required=True, validate=_NAME)
    id = Text(validate=[_ID, NoneOf(OWN_WORDS, error="Must not be a word of the API's paths.")])

    @post_load
    def fill(self, project: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Add the id."""
        return {"id": _id_of(project["name"]), **project}


class _User(Schema):
    """A user; its id and password are its name, and its API key its password, unless set.

    Args:
        projects: those in which it may have roles, by id or name.
    """

    name = Text(required=True, validate=_NAME)
    id = Text(validate=_ID)
    password = fields.String(validate=_SECRET)
    api_key = fields.String(validate=_SECRET)
    roles = fields.Dict(
        keys=Text(), values=fields.List(fields.String(validate=_NAME)), load_default=dict
    )

    def __init__(self, projects: Iterable[Project]) -> None:
        super().__init__()
        names = {project.name: project.id for project in projects}
        self._project_ids = names | {id_: id_ for id_ in names.values()}

    @validates("roles")
    def require_known_projects(self, roles: dict[str, list[str]], data_key: str) -> None:  # noqa: ARG002
        """Refuse roles in a project that does not exist."""
        for project in roles:
            if project not in self._project_ids:
                raise ValidationError({project: ["No project has this id."]})

    @post_load
    def fill(self, user: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Add what was left out."""
        password = user.get("password", user["name"])
        roles = {self._project_ids[key]: tuple(names) for key, names in user["roles"].items()}
        usual = {"id": _id_of(user["name"]), "password": password, "api_key": password}
        return {**usual, **user, "roles": roles}


def _default_users(projects: Iterable[Project]) -> tuple[User, ...]:
    """Return a user for each project, with its name as name and password."""
    roles = {project: "admin" if project.name == "admin" else "member" for project in projects}
    given = [{"name": each.name, "roles": {each.id: [role]}} for each, role in roles.items()]
    return tuple(User(**user) for user in _User(projects).load(given, many=True))


_DEFAULT_PROJECTS = tuple(Project(name, name) for name in ("demo", "alt", "admin"))


@dataclass(frozen=True, slots=True)
class Seed:
    """What a cloud begins with.

    Args:
        images: complete Glance v2 images with `members`, as `complete_images` returns them.
        projects, users: everyone who can log in.
        token_seconds: the lifetime of a new token.
    """

    images: Sequence[Mapping[str, Any]] = ()
    projects: tuple[Project, ...] = _DEFAULT_PROJECTS
    users: tuple[User, ...] = _default_users(_DEFAULT_PROJECTS)
    token_seconds: int = TOKEN_SECONDS

    def projects_of(self, user: User) -> list[Project]:
        """Return the projects in which a user has a role, in the order of its roles."""
        known = {project.id: project for project in self.projects}
        return [known[project_id] for project_id, names in user.roles.items() if names]


class _Seed(Schema):
    """The top level of a seed file; each item has its own schema."""

    images = fields.List(fields.Raw(allow_none=True))
    projects = fields.List(fields.Raw(allow_none=True))
    users = fields.List(fields.Raw(allow_none=True))
    token_seconds = fields.Integer(strict=True, validate=Range(1, 10 * 365 * 86400))
    first = fields.Raw(allow_none=True)  # this and the next two are in a response of Glance
    next = fields.Raw(allow_none=True)
    schema = fields.Raw(allow_none=True)


def load_seed(path: Path | None = None) -> Seed:
    """Return the seed in a file, by default the one in this package.

    The file holds a list of Glance v2 images, or an object with any of `images`, as in Glance's own
    response, `projects`, `users` and `token_seconds`. An image needs only an `id`. `members` maps
    the ids of the projects that an image is shared with to `pending`, `accepted` or `rejected`. An
    image without owner and visibility is public.

    Raises:
        ImageFileError: the file cannot be used; the text names the item and the reason.
    """
    return to_seed(load_document(path))


def to_seed(document: Document) -> Seed:
    """Return the seed in a document; see `load_seed`."""
    with document.named_in_errors():
        found = _load_top_level(document.content)
        projects, users = _DEFAULT_PROJECTS, None
        if "projects" in found:
            loaded = load_items("project", found["projects"], _Project(), _UNIQUE)
            projects = tuple(Project(**project) for project in loaded)
        if "users" in found:
            loaded = load_items("user", found["users"], _User(projects), _UNIQUE)
            users = tuple(User(**user) for user in loaded)
        if "images" not in found:
            found["images"] = load_document().content
        return Seed(
            images=complete_images(found["images"]),
            projects=projects,
            users=_default_users(projects) if users is None else users,
            token_seconds=found.get("token_seconds", TOKEN_SECONDS),
        )


def _load_top_level(content: Any) -> dict[str, Any]:
    if isinstance(content, list):
        return {"images": content}
    if not isinstance(content, dict):
        text = "must be a list of images, or an object with `images`, `projects` or `users`"
        raise ImageFileError(text)
    try:
        found: dict[str, Any] = _Seed().load(content)
    except ValidationError as error:
        raise ImageFileError(describe(error)) from error
    return found
