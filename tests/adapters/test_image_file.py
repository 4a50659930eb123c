"""The file that fills the embedded store: what it may hold, and what is said of a bad one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nova_image_shim.adapters.memory.image_file import ImageFileError, load_images

if TYPE_CHECKING:
    from pathlib import Path

COMPLETE: dict[str, Any] = {
    "id": "an-id",
    "name": None,
    "status": "active",
    "visibility": "public",
    "owner": None,
    "protected": False,
    "os_hidden": False,
    "size": None,
    "min_ram": 0,
    "min_disk": 0,
    "tags": [],
    "members": {},
    "created_at": "1970-01-01T00:00:00Z",
    "updated_at": "1970-01-01T00:00:00Z",
}


def load(folder: Path, text: str, name: str = "images.yaml") -> list[dict[str, Any]]:
    """Return the images of a file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_images(path)


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("images.yaml", "- id: one\n- id: two\n", ["one", "two"]),
        ("images.yaml", "images:\n- id: one\n- id: two\n", ["one", "two"]),
        ("images.yaml", "# of Glance\nimages: [{id: one}]\nfirst: /v2/images\n", ["one"]),
        ("images.yml", "- {id: two}\n- {id: one}\n", ["two", "one"]),
        ("images", "- id: one\n", ["one"]),
        ("images.yaml", '[{"id": "one"}]', ["one"]),
        ("images.json", '[{"id": "one"}, {"id": "two"}]', ["one", "two"]),
        ("images.json", '{"images": [{"id": "one"}], "schema": "/v2/schemas/images"}', ["one"]),
        ("images.json", "[]", []),
        ("images.yaml", "[]", []),
        ("images.json", '{"images": []}', []),
    ],
)
def test_a_file_is_a_list_or_holds_one(
    name: str, text: str, ids: list[str], tmp_path: Path
) -> None:
    expected = [{**COMPLETE, "id": image_id} for image_id in ids]
    assert expected == load(tmp_path, text, name)


@pytest.mark.parametrize(
    ("image", "differences"),
    [
        ({}, {}),
        ({"owner": "demo"}, {"owner": "demo", "visibility": "shared"}),
        ({"owner": "demo", "visibility": "private"}, {"owner": "demo", "visibility": "private"}),
        ({"visibility": "community"}, {"visibility": "community"}),
        ({"owner": None, "name": None}, {}),
        (
            {"size": None, "min_ram": None, "min_disk": None, "virtual_size": None},
            {"min_ram": None, "min_disk": None, "virtual_size": None},
        ),
        ({"size": 2**63 - 1, "min_ram": 2**31 - 1}, {"size": 2**63 - 1, "min_ram": 2**31 - 1}),
        ({"members": {"a": "accepted"}}, {"members": {"a": "accepted"}}),
        ({"tags": ["a", "b"], "protected": True}, {"tags": ["a", "b"], "protected": True}),
        ({"locations": [{"url": "file:///x"}]}, {"locations": [{"url": "file:///x"}]}),
        (
            {"os_distro": "debian", "ramdisk_id": None, "": "", "naïve ☃": "🐍"},
            {"os_distro": "debian", "ramdisk_id": None, "": "", "naïve ☃": "🐍"},
        ),
        (
            {"created_at": "2020-02-29T12:00:00Z"},
            {"created_at": "2020-02-29T12:00:00Z", "updated_at": "2020-02-29T12:00:00Z"},
        ),
        (
            {"created_at": None, "updated_at": "2020-02-29T12:00:00Z"},
            {"updated_at": "2020-02-29T12:00:00Z"},
        ),
        (
            {"created_at": "2020-03-01T01:00:00.999+13:00", "updated_at": "2020-03-01"},
            {"created_at": "2020-02-29T12:00:00Z", "updated_at": "2020-03-01T00:00:00Z"},
        ),
    ],
)
def test_what_is_not_said_is_as_glance_has_it(
    image: dict[str, Any], differences: dict[str, Any], tmp_path: Path
) -> None:
    text = json.dumps([{"id": "an-id", **image}], ensure_ascii=False)
    assert [{**COMPLETE, **differences}] == load(tmp_path, text, "images.json")
    assert [{**COMPLETE, **differences}] == load(tmp_path, text, "images.yaml")


@pytest.mark.parametrize("status", "queued saving active killed deleted deactivated".split())
def test_every_status_of_glance_is_taken(status: str, tmp_path: Path) -> None:
    assert [{**COMPLETE, "status": status}] == load(tmp_path, f"- {{id: an-id, status: {status}}}")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2015-06-30T12:00:00Z", "2015-06-30T12:00:00Z"),
        ("2015-06-30 12:00:00", "2015-06-30T12:00:00Z"),
        ("2015-06-30T12:00:00.75+02:00", "2015-06-30T10:00:00Z"),
        ("2015-06-30", "2015-06-30T00:00:00Z"),
        ("'2015-06-30'", "2015-06-30T00:00:00Z"),
    ],
)
def test_a_time_of_yaml_is_read_by_the_rule_for_times(
    written: str, read: str, tmp_path: Path
) -> None:
    text = f"- id: an-id\n  created_at: {written}\n  os_end_of_life: {written}\n"
    expected = {"created_at": read, "updated_at": read, "os_end_of_life": written.strip("'")}
    assert [{**COMPLETE, **expected}] == load(tmp_path, text)


@pytest.mark.parametrize(
    "image_id",
    ["70a599e0-31e7-49b7-b260-868f441e862b", "A", "a.b", "_-.~", "0", "a" * 255, "UPPER-lower"],
)
def test_ids_are_kept(image_id: str, tmp_path: Path) -> None:
    (image,) = load(tmp_path, json.dumps([{"id": image_id}]))
    assert image_id == image["id"]


SYNTAX = [
    ("images.yaml", "- id: a\n  - b\n", "line 2, column 3: expected <block end>, but found '-'"),
    ("images.yaml", "- id: a\n- id: [b\n", "line 3, column 1: expected ',' or ']', but got '<"),
    ("images.yaml", "- id: a\n\tname: b\n", "line 2, column 1: found character '\\t' that "),
    ("images.yaml", "- &a {id: b}\n- *c\n", "line 2, column 3: found undefined alias 'c'"),
    ("images.yaml", "- id: a\n- !!python/object:os.x {}\n", "line 2, column 3: could not determ"),
    ("images.yaml", "- id: a\n---\n- id: b\n", "line 2, column 1: but found another document"),
    ("images.yaml", "- id: a\n  ? [b]: c\n", "line 2, column 5: found unhashable key"),
    ("images.yaml", "- id: a\n  protected: !!bool maybe\n", ""),
    ("images.yaml", "- id: a\n  created_at: !!timestamp soon\n", ""),
    ("images.yaml", "- id: a\n  size: !!int many\n", ""),
    ("images.yaml", "- id: a\x00\n", ""),
    ("images.yaml", "[" * 5000, ""),
    ("images.json", '[{"id": "a"},\n {"id" "b"}]', "Expecting ':' delimiter: line 2 column 8"),
    ("images.json", '[{"id": "a"}', "Expecting ',' delimiter: line 1 column 13"),
    ("images.json", "- id: a", "Expecting value: line 1 column 1"),
    ("images.json", "", "Expecting value: line 1 column 1"),
    ("images.json", "[" * 100_000, ""),
    ("images.json", f'[{{"id": "a", "size": {"9" * 5000}}}]', ""),
]


@pytest.mark.parametrize(("name", "text", "message"), SYNTAX)
def test_a_file_that_is_no_yaml_or_json_is_named_with_the_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ImageFileError) as refusal:
        load(tmp_path, text, name)
    assert str(refusal.value).startswith(f"{tmp_path / name}: {message}")


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "null", "text", "42", "{}", "id: a", "images: {}", "images:", "images: a"],
)
def test_a_file_that_holds_no_list_is_refused(text: str, tmp_path: Path) -> None:
    wanted = "a list of images is wanted, or an object with it as `images`"
    with pytest.raises(ImageFileError) as refusal:
        load(tmp_path, text)
    assert f"{tmp_path / 'images.yaml'}: {wanted}" == str(refusal.value)


STATUSES = (
    "['queued', 'saving', 'active', 'killed', 'deleted', 'uploading', 'importing', "
    "'pending_delete', 'deactivated']"
)
VISIBILITIES = "['public', 'private', 'shared', 'community']"


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("text", "image 2: the image: 'text' is not of type 'object'"),
        (None, "image 2: the image: None is not of type 'object'"),
        (["id"], "image 2: the image: ['id'] is not of type 'object'"),
        ({}, "image 2: the image: 'id' is a required property"),
        ({"name": "b"}, "image 2: the image: 'id' is a required property"),
        ({"id": None}, "image 2: id: None is not of type 'string'"),
        ({"id": 7}, "image 2 (id 7): id: 7 is not of type 'string'"),
        ({"id": ""}, "image 2: id: '' does not match "),
        ({"id": "a/b"}, "image 2 (id a/b): id: 'a/b' does not match "),
        ({"id": ".."}, "image 2 (id ..): id: '..' does not match "),
        ({"id": ".hidden"}, "image 2 (id .hidden): id: '.hidden' does not match "),
        ({"id": "a b"}, "image 2 (id a b): id: 'a b' does not match "),
        ({"id": "é"}, "image 2 (id é): id: 'é' does not match "),
        ({"id": "b\n"}, "image 2 (id b\n): id: 'b\\n' does not match "),
        ({"id": "a" * 256}, f"image 2 (id {'a' * 256}): id: '{'a' * 256}' does not match "),
        ({"id": "a"}, "image 2 (id a): this id was there before"),
        ({"id": "b", "status": "ACTIVE"}, f"status: 'ACTIVE' is not one of {STATUSES}"),
        ({"id": "b", "status": None}, f"status: None is not one of {STATUSES}"),
        ({"id": "b", "visibility": "open"}, f"visibility: 'open' is not one of {VISIBILITIES}"),
        ({"id": "b", "name": 7}, "name: 7 is not of type 'string', 'null'"),
        ({"id": "b", "name": "n" * 256}, f"name: '{'n' * 256}' is too long"),
        ({"id": "b", "owner": 7}, "owner: 7 is not of type 'string', 'null'"),
        ({"id": "b", "protected": "yes"}, "protected: 'yes' is not of type 'boolean'"),
        ({"id": "b", "os_hidden": 1}, "os_hidden: 1 is not of type 'boolean'"),
        ({"id": "b", "size": "5"}, "size: '5' is not of type 'integer', 'null'"),
        ({"id": "b", "size": -1}, "size: -1 is less than the minimum of 0"),
        ({"id": "b", "size": 1.5}, "size: 1.5 is not of type 'integer', 'null'"),
        ({"id": "b", "size": True}, "size: True is not of type 'integer', 'null'"),
        ({"id": "b", "size": 2**63}, f"size: {2**63} is greater than the maximum of {2**63 - 1}"),
        (
            {"id": "b", "min_ram": 2**31},
            f"min_ram: {2**31} is greater than the maximum of {2**31 - 1}",
        ),
        ({"id": "b", "min_disk": "1"}, "min_disk: '1' is not of type 'integer', 'null'"),
        ({"id": "b", "tags": "a"}, "tags: 'a' is not of type 'array'"),
        ({"id": "b", "tags": ["a", 7]}, "tags.1: 7 is not of type 'string'"),
        ({"id": "b", "members": ["demo"]}, "members: ['demo'] is not of type 'object'"),
        (
            {"id": "b", "members": {"demo": "yes"}},
            "members.demo: 'yes' is not one of ['pending', 'accepted', 'rejected']",
        ),
        ({"id": "b", "created_at": "soon"}, "created_at: 'soon' is not a 'iso8601'"),
        ({"id": "b", "created_at": ""}, "created_at: '' is not a 'iso8601'"),
        ({"id": "b", "created_at": 2015}, "created_at: 2015 is not of type 'string', 'null'"),
        ({"id": "b", "updated_at": "2015-02-30"}, "updated_at: '2015-02-30' is not a 'iso8601'"),
        (
            {"id": "b", "updated_at": "0001-01-01T00:00:00+01:00"},
            "updated_at: '0001-01-01T00:00:00+01:00' is not a 'iso8601'",
        ),
        ({"id": "b", "os_version": 12}, "os_version: 12 is not of type 'string', 'null'"),
        ({"id": "b", "hw_x": True}, "hw_x: True is not of type 'string', 'null'"),
        ({"id": "b", "mappings": []}, "mappings: [] is not of type 'string', 'null'"),
    ],
)
def test_a_bad_image_is_named_with_what_is_wrong_of_it(
    second: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "images.json"
    called = "" if message.startswith("image 2") else "image 2 (id b): "
    with pytest.raises(ImageFileError) as refusal:
        load(tmp_path, json.dumps([{"id": "a"}, second]), "images.json")
    assert str(refusal.value).startswith(f"{path}: {called}{message}")


@pytest.mark.parametrize("key", ["7", "true", "no", "null", "1.5"])
@pytest.mark.parametrize("where", ["{}: x", "members: {{{}: accepted}}"])
def test_a_key_that_yaml_takes_for_no_text_is_refused(where: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ImageFileError) as refusal:
        load(tmp_path, f"- id: a\n  {where.format(key)}\n")
    assert str(refusal.value).startswith(f"{tmp_path / 'images.yaml'}: image 1 (id a): ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(ImageFileError) as refusal:
        load_images(path)
    assert str(refusal.value).startswith(f"{path}: cannot be read: [Errno 2] No such file")


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError) as refusal:
        load_images(tmp_path)
    assert str(refusal.value).startswith(f"{tmp_path}: cannot be read: ")


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_bytes("- id: a\n  name: Café\n".encode("latin-1"))
    with pytest.raises(ImageFileError) as refusal:
        load_images(path)
    assert str(refusal.value).startswith(f"{path}: cannot be read: 'utf-8' codec")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(ImageFileError) as refusal:
        load_images(path)
    assert f"{path}: is over 67108864 bytes" == str(refusal.value)


# The samples of the API's document: id, name, created, updated, size where it is printed, and
# metadata.
FIRST = "2011-01-01T01:02:03Z"
X86, NO_KERNEL = {"architecture": "x86_64"}, {"kernel_id": "nokernel", "ramdisk_id": "nokernel"}
OF_IMAGE = {"kernel_id": "155d900f-4e14-4e4c-a73d-069cbf4541e6", "ramdisk_id": None}
SAMPLES = [
    (
        "70a599e0-31e7-49b7-b260-868f441e862b",
        *("fakeimage7", FIRST, FIRST, None, {**X86, "auto_disk_config": "True", **NO_KERNEL}),
    ),
    (
        "155d900f-4e14-4e4c-a73d-069cbf4541e6",
        *("fakeimage123456", FIRST, FIRST, None, {**X86, **NO_KERNEL}),
    ),
    (
        "a2459075-d96c-40d5-893e-577ff92e721c",
        *("fakeimage123456", FIRST, FIRST, None, NO_KERNEL),
    ),
    (
        "a440c04b-79fa-479c-bed1-0b816eaec379",
        *("fakeimage6", FIRST, FIRST, None, {**X86, "auto_disk_config": "False", **NO_KERNEL}),
    ),
    (
        "c905cedb-7281-47e4-8a62-f26bc5fc4c77",
        *("fakeimage123456", FIRST, FIRST, None, OF_IMAGE),
    ),
    (
        "cedef40a-ed67-4d10-800e-17455edce175",
        *("fakeimage123456", FIRST, FIRST, None, NO_KERNEL),
    ),
    (
        "76fa36fc-c930-4bf3-8c8a-ea2a2420deb6",
        *("fakeimage123456", FIRST, FIRST, None, NO_KERNEL),
    ),
    (
        "d8fa0a65-2dd7-4eb4-b38d-1bb078809ea1",
        *("scenario-qcow2-2059721347", "2015-09-18T05:37:20Z", "2015-09-18T05:37:30Z", 258080768),
        {"label": "UpdatedImage"},
    ),
    (
        "f749e5ba-1bae-4f74-88b5-fd06c8681a66",
        *("ubuntu_server_14_04-cloudimg-amd64.img", "2015-09-17T06:38:35Z"),
        *("2015-09-17T06:53:41Z", 258080768, {"protect": "false"}),
    ),
]


@pytest.mark.parametrize(
    ("number", "sample"), list(enumerate(SAMPLES)), ids=[sample[0] for sample in SAMPLES]
)
def test_the_shipped_file_begins_with_the_samples_of_the_apis_document(
    number: int, sample: tuple[Any, ...]
) -> None:
    image = load_images()[number]
    image_id, name, created, updated, size, metadata = sample
    own = {*COMPLETE, "disk_format", "container_format"}
    assert {
        **COMPLETE,
        "id": image_id,
        "name": name,
        "created_at": created,
        "updated_at": updated,
        "visibility": "public",
        "owner": "demo",
        "size": size or image["size"],
        "disk_format": "qcow2",
        "container_format": "bare",
        **metadata,
    } == image
    assert metadata == {key: value for key, value in image.items() if key not in own}


def test_the_shipped_file_holds_an_image_of_each_kind() -> None:
    images = load_images()
    assert {"active", "queued", "saving", "deactivated"} == {image["status"] for image in images}
    assert {"public", "private", "shared"} == {image["visibility"] for image in images}
    assert {"demo", "alt", "admin"} == {image["owner"] for image in images}
    assert [{"demo": "accepted"}] == [image["members"] for image in images if image["members"]]
    assert ["golden"] == [image["name"] for image in images if image["protected"]]
    assert len(images) == len({image["id"] for image in images}) == 18


def test_each_call_gives_images_of_its_own() -> None:
    first, second = load_images(), load_images()
    first[0]["name"] = "changed"
    assert "fakeimage7" == second[0]["name"]
