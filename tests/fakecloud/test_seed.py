"""The file that the embedded cloud begins with: what may be in it, and how a bad one is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nova_image_shim.adapters.memory.image_file import ImageFileError, load_images
from nova_image_shim.fakecloud.seed import Project, Seed, User, load_seed

if TYPE_CHECKING:
    from pathlib import Path

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


def test_without_a_file_there_are_demo_alt_and_admin() -> None:
    images = load_images()
    assert Seed(images, DEFAULT_PROJECTS, DEFAULT_USERS, 3600) == load_seed()


@pytest.mark.parametrize("document", [[{"id": "one"}], {"images": [{"id": "one"}]}])
def test_a_file_of_images_leaves_the_rest_as_it_is(tmp_path: Path, document: Any) -> None:
    path = write(tmp_path, document)
    assert Seed(load_images(path), DEFAULT_PROJECTS, DEFAULT_USERS) == load_seed(path)


def test_an_answer_of_glance_is_a_seed(tmp_path: Path) -> None:
    answer = {"images": [{"id": "one"}], "first": "/v2/images", "schema": "/v2/schemas/images"}
    assert ["one"] == [image["id"] for image in load_seed(write(tmp_path, answer)).images]


def test_a_file_without_images_has_those_that_ship(tmp_path: Path) -> None:
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


def test_of_a_user_only_its_name_must_be_there(tmp_path: Path) -> None:
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


SECRET = "a text of 1 to 4096 characters is wanted"
BAD: list[tuple[Any, str]] = [
    ("x", "a list of images is wanted, or an object with `images`, `projects`, `users`"),
    (None, "a list of images is wanted, or an object with `images`, `projects`, `users`"),
    ({"user": []}, "Additional properties are not allowed ('user' was unexpected)"),
    ({"users": {}}, "users: {} is not of type 'array'"),
    ({"images": {}}, "images: {} is not of type 'array'"),
    ({"token_seconds": 0}, "token_seconds: 0 is less than the minimum of 1"),
    ({"token_seconds": "1h"}, "token_seconds: '1h' is not of type 'integer'"),
    ({"images": [{"id": "a", "status": "x"}]}, "image 1 (id a): status: 'x' is not one of ["),
    ([{"id": "a"}, {"id": "a"}], "image 2 (id a): this id was there before"),
    ({"projects": ["acme"]}, "project 1: 'acme' is not of type 'object'"),
    ({"projects": [{"id": "a"}]}, "project 1: 'name' is a required property"),
    (
        {"projects": [{"name": "a/b", "id": "a/b"}]},
        "project 1 (name a/b): id: 'a/b' does not match",
    ),
    ({"projects": [{"name": "a", "x": 1}]}, "project 1 (name a): Additional properties are not"),
    ({"projects": [{"name": "a"}, {"name": "a", "id": "b"}]}, "project 2: name a was there before"),
    ({"projects": [{"name": "a"}, {"name": "b", "id": "a"}]}, "project 2: id a was there before"),
    ({"users": [{"id": "a"}]}, "user 1: 'name' is a required property"),
    ({"users": [{"name": "a", "id": "b"}, {"name": "b", "id": "b"}]}, "user 2: id b was there"),
    (
        {"users": [{"name": "a", "roles": {"x": ["member"]}}]},
        "user 1 (name a): roles.x: there is no",
    ),
    ({"users": [{"name": "a", "roles": ["x"]}]}, "user 1 (name a): roles: ['x'] is not of type"),
    ({"users": [{"name": "a", "roles": {"demo": "x"}}]}, "user 1 (name a): roles.demo: 'x' is not"),
    ({"users": [{"name": "a", "password": 12345}]}, f"user 1 (name a): password: {SECRET}"),
    ({"users": [{"name": "a", "api_key": ["12345"]}]}, f"user 1 (name a): api_key: {SECRET}"),
    ({"users": [{"name": "a", "password": ""}]}, f"user 1 (name a): password: {SECRET}"),
]


@pytest.mark.parametrize(("document", "reason"), BAD)
def test_a_bad_file_is_refused_with_the_item_and_the_reason(
    tmp_path: Path, document: Any, reason: str
) -> None:
    path = write(tmp_path, document)
    with pytest.raises(ImageFileError) as refusal:
        load_seed(path)
    assert str(refusal.value).startswith(f"{path}: {reason}")
    assert "12345" not in str(refusal.value)


def test_yaml_reads_as_json_does(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("projects: [{name: acme}]\nimages: []\ntoken_seconds: 5\n", encoding="utf-8")
    assert (Project("acme", "acme"),) == load_seed(path).projects
