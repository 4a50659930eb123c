"""The file that the embedded cloud begins with: what may be in it, and how a bad one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from fakecloud.images import STATUS
from nova_image_shim.fakecloud.image_file import load_images
from nova_image_shim.fakecloud.items import ImageFileError
from nova_image_shim.fakecloud.seed import Project, Seed, User, load_seed

ID = "Must be 1 to 64 letters, digits or ._~- and begin with a letter, a digit or _."
DEFAULT_PROJECTS = (Project("demo", "demo"), Project("alt", "alt"), Project("admin", "admin"))
DEFAULT_USERS = (
    User("demo", "demo", "demo", "demo", {"demo": ("member",)}),
    User("alt", "alt", "alt", "alt", {"alt": ("member",)}),
    User("admin", "admin", "admin", "admin", {"admin": ("admin",)}),
)


def write(folder: Path, document: Any) -> Path:
    path = folder / "seed.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_the_default_projects_are_demo_alt_and_admin() -> None:
    images = load_images()
    assert Seed(images, DEFAULT_PROJECTS, DEFAULT_USERS, 3600) == load_seed()


@pytest.mark.parametrize(
    "document",
    [
        [{"id": "one"}],
        {"images": [{"id": "one"}]},
        {"images": [{"id": "one"}], "first": "/v2/images", "schema": "/v2/schemas/images"},
    ],
)
def test_a_file_of_images_keeps_the_other_defaults(tmp_path: Path, document: Any) -> None:
    path = write(tmp_path, document)
    assert Seed(load_images(path), DEFAULT_PROJECTS, DEFAULT_USERS) == load_seed(path)


def test_a_file_without_images_gets_the_default_images(tmp_path: Path) -> None:
    seed = load_seed(write(tmp_path, {"token_seconds": 60}))
    assert Seed(load_images(), DEFAULT_PROJECTS, DEFAULT_USERS, 60) == seed


def test_projects_without_users_have_a_user_each(tmp_path: Path) -> None:
    projects = [{"name": "acme", "id": "0123"}, {"name": "admin"}]
    seed = load_seed(write(tmp_path, {"images": [], "projects": projects}))
    expected = (
        User("acme", "acme", "acme", "acme", {"0123": ("member",)}),
        User("admin", "admin", "admin", "admin", {"admin": ("admin",)}),
    )
    assert Seed([], (Project("0123", "acme"), Project("admin", "admin")), expected) == seed


def test_a_user_needs_only_a_name(tmp_path: Path) -> None:
    users = [
        {"name": "ann"},
        {"name": "bob", "id": "u2", "password": "secret"},
        {"name": "cid", "api_key": "key", "roles": {"alt": ["a", "b"], "demo": []}},
    ]
    expected = (
        User("ann", "ann", "ann", "ann", {}),
        User("u2", "bob", "secret", "secret", {}),
        User("cid", "cid", "cid", "key", {"alt": ("a", "b"), "demo": ()}),
    )
    seed = load_seed(write(tmp_path, {"images": [], "users": users}))
    assert Seed([], DEFAULT_PROJECTS, expected) == seed


NOT_A_SEED = "must be a list of images, or an object with `images`, `projects` or `users`"
ITEM, USED = {"name": "a"}, "already used by another"
BAD_USERS: list[tuple[Any, str]] = [
    ({"roles": {"x": ["member"]}}, "roles.x: There is no project with this id."),
    ({"roles": ["x"]}, "roles: Not a valid mapping type."),
    ({"roles": {"demo": "x"}}, "roles.demo: Not a valid list."),
    ({"password": 12345}, "password: Not a valid string."),
    ({"api_key": ["12345"]}, "api_key: Not a valid string."),
    ({"password": ""}, "password: Length must be between 1 and 4096."),
    ({"password": "12345" * 1000}, "password: Length must be between 1 and 4096."),
]
BAD: list[tuple[Any, str]] = [
    ("x", NOT_A_SEED),
    (None, NOT_A_SEED),
    ({"user": []}, "user: Unknown field."),
    ({"users": {}}, "users: Not a valid list."),
    ({"images": {}}, "images: Not a valid list."),
    (
        {"token_seconds": 0},
        "token_seconds: Must be greater than or equal to 1 and less than or equal to 315360000.",
    ),
    ({"token_seconds": "1h"}, "token_seconds: Not a valid integer."),
    ({"images": [{"id": "a", "status": "x"}]}, f"image 1 (id a): {STATUS}"),
    ([{"id": "a"}, {"id": "a"}], "image 2 (id a): id: already used by another image"),
    ({"projects": ["acme"]}, "project 1: Invalid input type."),
    ({"projects": [{"id": "a"}]}, "project 1: name: Missing data for required field."),
    ({"projects": [{"name": "a/b", "id": "a/b"}]}, f"project 1 (name a/b): id: {ID}"),
    ({"projects": [{"name": "a", "x": 1}]}, "project 1 (name a): x: Unknown field."),
    ({"projects": [ITEM, ITEM | {"id": "b"}]}, f"project 2 (name a): name: {USED} project"),
    ({"projects": [ITEM, {"name": "b", "id": "a"}]}, f"project 2 (name b): id: {USED} project"),
    ({"users": [{"id": "a"}]}, "user 1: name: Missing data for required field."),
    (
        {"users": [ITEM | {"id": "b"}, {"name": "b", "id": "b"}]},
        f"user 2 (name b): id: {USED} user",
    ),
    *(
        ({"users": [{"name": "a", **user}]}, f"user 1 (name a): {reason}")
        for user, reason in BAD_USERS
    ),
]


@pytest.mark.parametrize(("document", "reason"), BAD)
def test_an_invalid_file_is_refused_with_the_item_and_the_reason(
    tmp_path: Path, document: Any, reason: str
) -> None:
    path = write(tmp_path, document)
    with pytest.raises(ImageFileError) as refusal:
        load_seed(path)
    assert f"{path}: {reason}" == str(refusal.value)


def test_yaml_reads_as_json_does(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("projects: [{name: acme}]\nimages: []\ntoken_seconds: 5\n", encoding="utf-8")
    assert (Project("acme", "acme"),) == load_seed(path).projects
