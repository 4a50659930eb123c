"""The file that fills the embedded store: what it may hold, and what is said of a bad one."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.images import load_images

from fakecloud.images import COMPLETE, STATUS
from nova_image_shim.fakecloud.document import ImageFileError


def load(folder: Path, text: str, name: str = "images.yaml") -> list[dict[str, Any]]:
    """Return the images of a file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_images(path)


def refusal(folder: Path, text: str, name: str = "images.yaml") -> str:
    """Return why a file with this text is refused, without the path that comes first."""
    with pytest.raises(ImageFileError) as caught:
        load(folder, text, name)
    path, reason = f"{folder / name}: ", str(caught.value)
    assert reason.startswith(path)
    return reason.removeprefix(path)


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
def test_a_file_is_a_list_or_an_object_with_a_list(
    name: str, text: str, ids: list[str], tmp_path: Path
) -> None:
    expected = [{**COMPLETE, "id": image_id} for image_id in ids]
    assert expected == load(tmp_path, text, name)


NOON = "2020-02-29T12:00:00Z"


@pytest.mark.parametrize(
    ("image", "differences"),
    [
        ({}, {}),
        *(
            (given, given)
            for given in (
                *({"status": status} for status in "queued saving active killed deleted".split()),
                {"status": "deactivated"},
                *({"id": id_} for id_ in ("70a599e0-31e7", "A", "a.b", "_-.~", "0", "a" * 255)),
                {"id": "UPPER-lower"},
                {"owner": "demo", "visibility": "private"},
                {"visibility": "community"},
                {"size": 2**63 - 1, "min_ram": 2**31 - 1},
                {"members": {"a": "accepted"}},
                {"tags": ["a", "b"], "protected": True},
                {"locations": [{"url": "file:///x"}]},
                {"os_distro": "debian", "ramdisk_id": None, "": "", "naïve ☃": "🐍"},
                {"size": None, "min_ram": None, "min_disk": None, "virtual_size": None},
            )
        ),
        ({"owner": "demo"}, {"owner": "demo", "visibility": "shared"}),
        ({"owner": None, "name": None}, {}),
        ({"created_at": NOON}, {"created_at": NOON, "updated_at": NOON}),
        ({"created_at": None, "updated_at": NOON}, {"updated_at": NOON}),
        (
            {"created_at": "2020-03-01T01:00:00.999+13:00", "updated_at": "2020-03-01"},
            {"created_at": NOON, "updated_at": "2020-03-01T00:00:00Z"},
        ),
    ],
)
def test_missing_attributes_get_glances_defaults(
    image: dict[str, Any], differences: dict[str, Any], tmp_path: Path
) -> None:
    text = json.dumps([{"id": "an-id", **image}], ensure_ascii=False)
    assert [{**COMPLETE, **differences}] == load(tmp_path, text, "images.json")
    assert [{**COMPLETE, **differences}] == load(tmp_path, text, "images.yaml")


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
def test_times_in_yaml_are_read_as_text(written: str, read: str, tmp_path: Path) -> None:
    text = f"- id: an-id\n  created_at: {written}\n  os_end_of_life: {written}\n"
    expected = {"created_at": read, "updated_at": read, "os_end_of_life": written.strip("'")}
    assert [{**COMPLETE, **expected}] == load(tmp_path, text)


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
def test_a_syntax_error_is_reported_with_file_and_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    assert refusal(tmp_path, text, name).startswith(message)


@pytest.mark.parametrize("text", ["", "# nothing\n", "null", "text", "42"])
def test_a_file_without_a_list_is_refused(text: str, tmp_path: Path) -> None:
    message = "must be a list of images, or an object with `images`, `projects` or `users`"
    assert message == refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id: a", "id: Unknown field."),
        ("images: {}", "images: Not a valid list."),
        ("images:", "images: Field may not be null."),
        ("images: a", "images: Not a valid list."),
    ],
)
def test_an_object_without_a_list_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message == refusal(tmp_path, text)


VISIBILITIES = "Must be one of: public, private, shared, community."
ID = "Must be 1 to 255 letters, digits or ._~- and begin with a letter, a digit or _."
LONG = "Longer than maximum length 255."
NO_STRING, NO_INTEGER = "Not a valid string.", "Not a valid integer."
NO_FLAG, NO_TIME = "Not a valid boolean.", "Not a valid ISO 8601 time."
BIGINT = f"Must be greater than or equal to 0 and less than or equal to {2**63 - 1}."
INT = f"Must be greater than or equal to 0 and less than or equal to {2**31 - 1}."


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("text", "image 2: Invalid input type."),
        (None, "image 2: Invalid input type."),
        (["id"], "image 2: Invalid input type."),
        ({}, "image 2: id: Missing data for required field."),
        ({"name": "b"}, "image 2: id: Missing data for required field."),
        ({"id": None}, "image 2: id: Field may not be null."),
        ({"id": 7}, f"image 2 (id 7): id: {NO_STRING}"),
        ({"id": ""}, f"image 2: id: {ID}"),
        *(
            ({"id": image_id}, f"image 2 (id {image_id}): id: {ID}")
            for image_id in ("a/b", "..", ".hidden", "a b", "é", "b\n", "a" * 256)
        ),
        ({"id": "a"}, "image 2 (id a): id: already used by another image"),
        ({"id": "b", "status": "ACTIVE"}, STATUS),
        ({"id": "b", "status": None}, "status: Field may not be null."),
        ({"id": "b", "visibility": "open"}, f"visibility: {VISIBILITIES}"),
        ({"id": "b", "name": 7}, f"name: {NO_STRING}"),
        ({"id": "b", "name": "n" * 256}, f"name: {LONG}"),
        ({"id": "b", "owner": 7}, f"owner: {NO_STRING}"),
        ({"id": "b", "owner": "o" * 256}, f"owner: {LONG}"),
        ({"id": "b", "protected": "yes"}, f"protected: {NO_FLAG}"),
        ({"id": "b", "os_hidden": 1}, f"os_hidden: {NO_FLAG}"),
        ({"id": "b", "size": "5"}, f"size: {NO_INTEGER}"),
        ({"id": "b", "size": -1}, f"size: {BIGINT}"),
        ({"id": "b", "size": 1.5}, f"size: {NO_INTEGER}"),
        ({"id": "b", "size": True}, f"size: {NO_INTEGER}"),
        ({"id": "b", "size": 2**63}, f"size: {BIGINT}"),
        ({"id": "b", "min_ram": 2**31}, f"min_ram: {INT}"),
        ({"id": "b", "min_disk": "1"}, f"min_disk: {NO_INTEGER}"),
        ({"id": "b", "tags": "a"}, "tags: Not a valid list."),
        ({"id": "b", "tags": ["a", 7]}, f"tags.1: {NO_STRING}"),
        ({"id": "b", "members": ["demo"]}, "members: Not a valid mapping type."),
        (
            {"id": "b", "members": {"demo": "yes"}},
            "members.demo: Must be one of: pending, accepted, rejected.",
        ),
        ({"id": "b", "created_at": "soon"}, f"created_at: {NO_TIME}"),
        ({"id": "b", "created_at": ""}, f"created_at: {NO_TIME}"),
        ({"id": "b", "created_at": 2015}, f"created_at: {NO_STRING}"),
        ({"id": "b", "updated_at": "2015-02-30"}, f"updated_at: {NO_TIME}"),
        ({"id": "b", "updated_at": "0001-01-01T00:00:00+01:00"}, f"updated_at: {NO_TIME}"),
        ({"id": "b", "os_version": 12}, f"os_version: {NO_STRING}"),
        ({"id": "b", "hw_x": True}, f"hw_x: {NO_STRING}"),
        ({"id": "b", "mappings": []}, f"mappings: {NO_STRING}"),
    ],
)
def test_an_invalid_image_is_named_with_its_field(
    second: Any, message: str, tmp_path: Path
) -> None:
    label = "" if message.startswith("image 2") else "image 2 (id b): "
    text = json.dumps([{"id": "a"}, second])
    assert f"{label}{message}" == refusal(tmp_path, text, "images.json")


@pytest.mark.parametrize("key", ["7", "true", "no", "null", "1.5"])
@pytest.mark.parametrize("where", ["{}: x", "members: {{{}: accepted}}"])
def test_a_yaml_key_that_is_not_a_string_is_refused(where: str, key: str, tmp_path: Path) -> None:
    text = f"- id: a\n  {where.format(key)}\n"
    assert refusal(tmp_path, text).startswith("image 1 (id a): ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.yaml", "cannot be read: [Errno 2] No such file"),
        (".", "cannot be read: "),
        ("latin.yaml", "cannot be read: 'utf-8' codec"),
        ("large.yaml", "is larger than 67108864 bytes"),
    ],
)
def test_an_unreadable_file_is_named(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("- id: a\n  name: Café\n".encode("latin-1"))
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(ImageFileError) as caught:
        load_images(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {message}")


# The samples of the API's document: id, name, metadata, and times and size where they differ.
FIRST = "2011-01-01T01:02:03Z"
X86, NO_KERNEL = {"architecture": "x86_64"}, {"kernel_id": "nokernel", "ramdisk_id": "nokernel"}
OF_IMAGE = {"kernel_id": "155d900f-4e14-4e4c-a73d-069cbf4541e6", "ramdisk_id": None}
AUTO, NOT_AUTO = {"auto_disk_config": "True"}, {"auto_disk_config": "False"}
SAMPLES: list[tuple[str, str, dict[str, Any]]] = [
    ("155d900f-4e14-4e4c-a73d-069cbf4541e6", "fakeimage123456", X86 | NO_KERNEL),
    ("70a599e0-31e7-49b7-b260-868f441e862b", "fakeimage7", X86 | AUTO | NO_KERNEL),
    ("a2459075-d96c-40d5-893e-577ff92e721c", "fakeimage123456", NO_KERNEL),
    ("a440c04b-79fa-479c-bed1-0b816eaec379", "fakeimage6", X86 | NOT_AUTO | NO_KERNEL),
    ("c905cedb-7281-47e4-8a62-f26bc5fc4c77", "fakeimage123456", OF_IMAGE),
    ("cedef40a-ed67-4d10-800e-17455edce175", "fakeimage123456", NO_KERNEL),
    ("76fa36fc-c930-4bf3-8c8a-ea2a2420deb6", "fakeimage123456", NO_KERNEL),
    (
        "d8fa0a65-2dd7-4eb4-b38d-1bb078809ea1",
        "scenario-qcow2-2059721347",
        {"created_at": "2015-09-18T05:37:20Z", "updated_at": "2015-09-18T05:37:30Z"}
        | {"size": 258080768, "label": "UpdatedImage"},
    ),
    (
        "f749e5ba-1bae-4f74-88b5-fd06c8681a66",
        "ubuntu_server_14_04-cloudimg-amd64.img",
        {"created_at": "2015-09-17T06:38:35Z", "updated_at": "2015-09-17T06:53:41Z"}
        | {"size": 258080768, "protect": "false"},
    ),
]


def test_the_shipped_file_ends_with_the_samples_of_the_apis_document() -> None:
    shipped = load_images()[-len(SAMPLES) :]
    usual = {"owner": "demo", "disk_format": "qcow2", "container_format": "bare"}
    times = {"created_at": FIRST, "updated_at": FIRST}
    assert [
        COMPLETE | usual | times | {"size": image["size"], "id": id_, "name": name} | fields
        for image, (id_, name, fields) in zip(shipped, SAMPLES, strict=True)
    ] == shipped


def test_the_shipped_file_holds_an_image_of_each_kind() -> None:
    images = load_images()
    assert {"active", "queued", "saving", "deactivated"} == {image["status"] for image in images}
    assert {"public", "private", "shared"} == {image["visibility"] for image in images}
    assert {"demo", "alt", "admin"} == {image["owner"] for image in images}
    assert [{"demo": "accepted"}] == [image["members"] for image in images if image["members"]]
    assert ["golden"] == [image["name"] for image in images if image["protected"]]
    assert len(images) == len({image["id"] for image in images}) == 18


def test_the_shipped_file_begins_with_the_images_that_differ_most() -> None:
    first = load_images()[: -len(SAMPLES)]
    assert [
        "cirros-0.6.3",
        "web-1-before-upgrade",
        "golden",
        "shared-with-demo",
        "Café 日本 🐍",
        "upload-not-begun",
        "upload-under-way",
        "under-review",
        "alt-only",
    ] == [image["name"] for image in first]


def test_each_call_returns_new_images() -> None:
    first, second = load_images(), load_images()
    first[0]["name"] = "changed"
    assert "cirros-0.6.3" == second[0]["name"]
