"""What the embedded cloud begins with: images, projects, users, from one file or by default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from nova_image_shim.adapters.memory.image_file import (
    ImageFileError,
    check_images,
    complete,
    load_document,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jsonschema import ValidationError

TOKEN_SECONDS = 3600
_DEFAULT_PROJECTS = ("demo", "alt", "admin")
_SECRETS = {"password", "api_key"}

# An id stands in paths and a name in logins; neither needs more than Keystone's own length.
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_ID = {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9._~-]{0,63}$"}
_SECRET = {"type": "string", "minLength": 1, "maxLength": 4096}
_PROJECT = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": _NAME, "id": _ID},
    "additionalProperties": False,
}
_USER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _NAME,
        "id": _ID,
        "password": _SECRET,
        "api_key": _SECRET,
        "roles": {"type": "object", "additionalProperties": {"type": "array", "items": _NAME}},
    },
    "additionalProperties": False,
}
_SEED = {
    "type": "object",
    "properties": {
        "images": {"type": "array"},
        "projects": {"type": "array"},
        "users": {"type": "array"},
        "token_seconds": {"type": "integer", "minimum": 1, "maximum": 10 * 365 * 86400},
        **{key: {} for key in ("first", "next", "schema")},  # of an answer of Glance's
    },
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the one domain there is."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A user of the one domain there is.

    Args:
        roles: role names by project id; the first project is the one of a login by API key.
    """

    id: str
    name: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _default_projects() -> tuple[Project, ...]:
    return tuple(Project(name, name) for name in _DEFAULT_PROJECTS)


def _default_users(projects: Iterable[Project]) -> tuple[User, ...]:
    """Return a user for each project, of its name, with it as password; `admin` is one."""
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
        images: complete Glance v2 images with `members`, as `image_file.load_images` gives them.
        projects, users: who there is.
        token_seconds: how long a new token is good.
    """

    images: Sequence[Mapping[str, Any]] = ()
    projects: tuple[Project, ...] = field(default_factory=_default_projects)
    users: tuple[User, ...] = field(
        default_factory=lambda: _default_users(_default_projects()),
    )
    token_seconds: int = TOKEN_SECONDS


def load_seed(path: Path | None = None) -> Seed:
    """Return the seed that a file holds; without a path the one that ships with us.

    The file holds a list of images, or an object with any of `images`, `projects`, `users` and
    `token_seconds`; what is absent is as by default.

    Raises:
        ImageFileError: the file cannot be used; the text names the item and the reason.
    """
    name, document = load_document(path)
    if isinstance(document, list):
        document = {"images": document}
    if not isinstance(document, dict):
        raise ImageFileError(
            f"{name}: a list of images is wanted, or an object with `images`, `projects`, `users`"
        )
    _check(_SEED, document, name)
    projects = _projects(document.get("projects"), name)
    return Seed(
        images=_images(document.get("images"), name),
        projects=projects,
        users=_users(document.get("users"), projects, name),
        token_seconds=document.get("token_seconds", TOKEN_SECONDS),
    )


def _images(given: list[Any] | None, name: str) -> list[dict[str, Any]]:
    images = load_document()[1] if given is None else given
    check_images(images, f"{name}: ")
    return [complete(image) for image in images]


def _projects(given: list[Any] | None, name: str) -> tuple[Project, ...]:
    if given is None:
        return _default_projects()
    for number, item in enumerate(given, 1):
        _check(_PROJECT, item, f"{name}: {_called('project', number, item)}")
    projects = tuple(Project(item.get("id", item["name"]), item["name"]) for item in given)
    _require_distinct("project", projects, name)
    return projects


def _users(given: list[Any] | None, projects: tuple[Project, ...], name: str) -> tuple[User, ...]:
    if given is None:
        return _default_users(projects)
    users = tuple(_user(number, item, projects, name) for number, item in enumerate(given, 1))
    _require_distinct("user", users, name)
    return users


def _user(number: int, item: Any, projects: tuple[Project, ...], name: str) -> User:
    where = f"{name}: {_called('user', number, item)}"
    _check(_USER, item, where)
    roles = item.get("roles", {})
    for project_id in roles:
        if project_id not in {project.id for project in projects}:
            raise ImageFileError(f"{where}: roles.{project_id}: there is no project of this id")
    password = item.get("password", item["name"])
    return User(
        item.get("id", item["name"]),
        item["name"],
        password=password,
        api_key=item.get("api_key", password),
        roles={project_id: tuple(names) for project_id, names in roles.items()},
    )


def _check(schema: Mapping[str, Any], item: Any, where: str) -> None:
    error: ValidationError | None = next(Draft202012Validator(schema).iter_errors(item), None)
    if error is None:
        return
    path = [str(step) for step in error.absolute_path]
    # jsonschema's own message shows the value, which a password's must not.
    secret = bool(_SECRETS.intersection(path))
    reason = f"a text of 1 to {_SECRET['maxLength']} characters is wanted"
    raise ImageFileError(
        ": ".join([where, *([".".join(path)] if path else []), reason if secret else error.message])
    )


def _called(kind: str, number: int, item: Any) -> str:
    known = item.get("name") if isinstance(item, dict) else None
    return f"{kind} {number} (name {known})" if isinstance(known, str) else f"{kind} {number}"


def _require_distinct(kind: str, items: Sequence[Project | User], name: str) -> None:
    for number, item in enumerate(items, 1):
        for before in items[: number - 1]:
            if before.id == item.id or before.name == item.name:
                shared = f"id {item.id}" if before.id == item.id else f"name {item.name}"
                raise ImageFileError(f"{name}: {kind} {number}: {shared} was there before")
