"""The file that the embedded cloud begins with: what may be in it, and how a bad one is refused."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from support.identity_answers import login_v3, password
from support.images import load_images

from fakecloud.images import COMPLETE, STATUS
from nova_image_shim import wsgi
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.document import ImageFileError
from nova_image_shim.fakecloud.seed import Project, Seed, User, load_seed
from nova_image_shim.settings import Settings

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
    images = [COMPLETE | {"id": "one"}]
    assert Seed(images, DEFAULT_PROJECTS, DEFAULT_USERS) == load_seed(path)


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
    ({"roles": {"x": ["member"]}}, "roles.x: No project has this id."),
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
    (
        {"projects": [{"name": "a", "id": "servers"}]},
        "project 1 (name a): id: Must not be a word of the API's paths.",
    ),
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


def load_yaml(folder: Path, text: str) -> Seed:
    path = folder / "seed.yaml"
    path.write_text(text, encoding="utf-8")
    return load_seed(path)


QUOTES = [
    ("projects: [{name: 1.10}]", 1, 19),
    ("projects:\n- name: 2024-01-01", 2, 9),
    ("projects:\n- {name: acme, id: 123456}", 2, 20),
    ("projects: [{name: yes}]", 1, 19),
    ("users:\n- name: ann\n  roles: {123456: [member]}", 3, 11),
    ("users:\n- name: ann\n  roles:\n    2024-01-01: [member]", 4, 5),
    ("users:\n- name: ann\n  roles: {demo: [1]}", 3, 18),
    ("users:\n- name: ann\n  password: 0123", 3, 13),
    ("images:\n- id: a\n- id: 7", 3, 7),
    ("- id: 2024-01-01 10:00:00", 1, 7),
    ("- id: a\n  owner: 6789", 2, 10),
    ("- id: a\n  os_version: 12.10", 2, 15),
    ("- id: a\n  12: x", 2, 3),
    ("- id: a\n  tags: [lts, 24.04]", 2, 15),
    ("- id: a\n  members: {12: accepted}", 2, 13),
    ("- {<<: {size: 1}, id: a, 7: x}", 1, 26),
]


@pytest.mark.parametrize(("text", "line", "column"), QUOTES)
def test_a_text_without_quotes_is_refused_with_its_line(
    text: str, line: int, column: int, tmp_path: Path
) -> None:
    with pytest.raises(ImageFileError) as refusal:
        load_yaml(tmp_path, text)
    hint = f" (line {line}, column {column}: write it in quotes)"
    assert str(refusal.value).endswith(hint), refusal.value


@pytest.mark.parametrize(
    "text",
    [
        "users: 5",
        "projects: [{name: ~}]",
        "token_seconds: 1.5",
        "- {id: a, size: 1.5}",
        "- {id: a, name: [b]}",
        "- {id: a, protected: 1}",
        "- {id: 'a/b'}",
        "- &a {name: 1}\n- {<<: *a, id: b}",
        "- {<<: {7: x}, id: b}",
    ],
)
def test_other_mistakes_get_no_advice_about_quotes(text: str, tmp_path: Path) -> None:
    with pytest.raises(ImageFileError) as refusal:
        load_yaml(tmp_path, text)
    assert "quotes" not in str(refusal.value)


@pytest.mark.parametrize("name", ["seed.yaml", "seed.json"])
def test_a_byte_order_mark_is_accepted(name: str, tmp_path: Path) -> None:
    (path := tmp_path / name).write_text('{"token_seconds": 60}', encoding="utf-8-sig")
    assert 60 == load_seed(path).token_seconds


def test_another_encoding_is_refused_with_advice(tmp_path: Path) -> None:
    (path := tmp_path / "seed.yaml").write_text("token_seconds: 60", encoding="utf-16")
    with pytest.raises(ImageFileError, match=r"codec can't decode .*; save it as UTF-8$"):
        load_seed(path)


NO_SEGMENTS = [
    "Team A",
    "a/b",
    "x?y#z",
    "50%",
    ".",
    "..",
    "images",
    "servers",
    "Caf\u00e9",
    "a" * 65,
]


@pytest.mark.parametrize("name", NO_SEGMENTS)
def test_a_name_that_no_path_can_have_gets_an_id_of_its_own(name: str, tmp_path: Path) -> None:
    seed = load_seed(write(tmp_path, {"images": [], "projects": [{"name": name}]}))
    (project,), (user,) = seed.projects, seed.users
    assert re.fullmatch("[0-9a-f]{32}", project.id)
    assert (project.id, name, {project.id: ("member",)}) == (user.id, user.name, user.roles)
    assert seed == load_seed(write(tmp_path, {"images": [], "projects": [{"name": name}]}))
    client = create_cloud_app(Settings(), FakeCloud(seed)).test_client()
    scope = {"project": {"name": name, "domain": {"id": "default"}}}
    login = login_v3(client, password(name, name), scope)
    compute = login.json["token"]["catalog"][0]["endpoints"][0]["url"]
    headers = {"X-Auth-Token": login.headers["X-Subject-Token"]}
    assert {"images": []} == client.get(f"{compute}/images", headers=headers).json


@pytest.mark.parametrize("name", ["demo", "a.b", "A-1_", "-", "...", "0", "image"])
def test_any_other_name_is_the_id(name: str, tmp_path: Path) -> None:
    assert (Project(name, name),) == load_seed(
        write(tmp_path, {"projects": [{"name": name}]})
    ).projects


def test_roles_name_a_project_by_id_or_name(tmp_path: Path) -> None:
    projects = [{"name": "Team A", "id": "p1"}, {"name": "Team B"}]
    users = [{"name": "ann", "roles": {"p1": ["a"], "Team B": ["b"]}}]
    seed = load_seed(write(tmp_path, {"projects": projects, "users": users}))
    assert {"p1": ("a",), seed.projects[1].id: ("b",)} == seed.users[0].roles


def test_ten_thousand_images_in_yaml_load_within_four_seconds(tmp_path: Path) -> None:
    rest = "owner: demo, size: 5, min_ram: 512, tags: [a, b], os_distro: debian"
    times = "created_at: 2020-01-01T00:00:00Z, updated_at: '2020-01-02T00:00:00Z'"
    text = "".join(f"- {{id: i{n}, name: image {n}, {rest}, {times}}}\n" for n in range(10_000))
    started = time.process_time()
    assert 10_000 == len(load_yaml(tmp_path, text).images)
    assert 4 > time.process_time() - started


def test_workers_use_the_seed_that_the_master_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "_present", [])
    path = write(tmp_path, [{"id": "one"}])
    environ = {"SHIM_BACKEND": "memory", "SHIM_MEMORY_IMAGES": str(path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    wsgi.read_start(environ)
    path.write_text("not a seed", encoding="utf-8")
    assert ["one"] == [
        image["id"] for image in wsgi.application().extensions["fake_cloud"].images()
    ]
    with pytest.raises(SystemExit, match="Expecting value"):
        wsgi.read_start(environ)
    write(tmp_path, [{"id": "two"}])
    wsgi.read_start(environ)
    assert ["two"] == [
        image["id"] for image in wsgi.application().extensions["fake_cloud"].images()
    ]
