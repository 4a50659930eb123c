"""What the embedded cloud begins with: images, projects, users, from one file or by default."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from nova_image_shim.fakecloud.image_file import check_images, complete, load_document
from nova_image_shim.fakecloud.items import ImageFileError, describe, load_items
from nova_image_shim.fakecloud.schemas import ProjectSchema, SeedSchema, UserSchema

TOKEN_SECONDS = 3600
_DEFAULT_PROJECTS = ("demo", "alt", "admin")
_UNIQUE = ("id", "name")


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


def _default_projects() -> tuple[Project, ...]:
    return tuple(Project(name, name) for name in _DEFAULT_PROJECTS)


def _default_users(projects: Iterable[Project]) -> tuple[User, ...]:
    """Return a user for each project, with its name as name and password."""
    return tuple(
        User(
            project.name,
            project.name,
            password=project.name,
            api_key=project.name,
            roles={project.id: ("admin" if project.name == "admin" else "member",)},
        )
        for project in projects
    )


@dataclass(frozen=True, slots=True)
class Seed:
    """What a cloud begins with.

    Args:
        images: complete Glance v2 images with `members`, as `image_file.load_images` returns them.
        projects, users: everyone who can log in.
        token_seconds: the lifetime of a new token.
    """

    images: Sequence[Mapping[str, Any]] = ()
    projects: tuple[Project, ...] = field(default_factory=_default_projects)
    users: tuple[User, ...] = field(
        default_factory=lambda: _default_users(_default_projects()),
    )
    token_seconds: int = TOKEN_SECONDS


def load_seed(path: Path | None = None) -> Seed:
    """Return the seed in a file, by default the one in this package.

    The file holds a list of images, or an object with any of `images`, `projects`, `users` and
    `token_seconds`.

    Raises:
        ImageFileError: the file cannot be used; the text names the item and the reason.
    """
    name, document = load_document(path)
    if isinstance(document, list):
        document = {"images": document}
    if not isinstance(document, dict):
        raise ImageFileError(
            f"{name}: must be a list of images, or an object with `images`, `projects` or `users`"
        )
    try:
        found = SeedSchema().load(document)
    except ValidationError as error:
        raise ImageFileError(f"{name}: {describe(error)}") from error
    projects = _projects(found.get("projects"), f"{name}: ")
    return Seed(
        images=_images(found.get("images"), f"{name}: "),
        projects=projects,
        users=_users(found.get("users"), projects, f"{name}: "),
        token_seconds=found.get("token_seconds", TOKEN_SECONDS),
    )


def _images(items: list[Any] | None, prefix: str) -> list[dict[str, Any]]:
    images = load_document()[1] if items is None else items
    check_images(images, prefix)
    return [complete(image) for image in images]


def _projects(items: list[Any] | None, prefix: str) -> tuple[Project, ...]:
    if items is None:
        return _default_projects()
    loaded = load_items("project", items, ProjectSchema(), prefix, _UNIQUE)
    return tuple(Project(**project) for project in loaded)


def _users(items: list[Any] | None, projects: tuple[Project, ...], prefix: str) -> tuple[User, ...]:
    if items is None:
        return _default_users(projects)
    schema = UserSchema({project.id for project in projects})
    loaded = load_items("user", items, schema, prefix, _UNIQUE)
    return tuple(User(**user) for user in loaded)
