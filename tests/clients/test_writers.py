"""Clients that write images by Glance v2, against the embedded cloud, unmodified."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live import clean_environ, shim

from .install import CLIENTS, PROGRAMS, why_missing

pytestmark = pytest.mark.clients

DATA = bytes(range(256)) * 8192  # 2 MiB, which is kept in a file
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "data").write_bytes(DATA)
    with shim(tmp_path / "log", SHIM_BACKEND="memory") as found:
        yield found


def environ(url: str, user: str = "demo") -> dict[str, str]:
    return {
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user,
        "OS_PASSWORD": user,
        "OS_PROJECT_NAME": user,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }


def run(url: str, *command: str, user: str = "demo") -> str:
    """Run a program as a user and return what it prints."""
    done = subprocess.run(
        command,
        env=clean_environ() | environ(url, user),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def commands(url: str, name: str, folder: Path, lines: str, user: str = "demo") -> dict[str, str]:
    """Run commands, one a line, and return what each prints; none may fail."""
    words = [line.replace("DIR", str(folder)).split() for line in lines.strip().splitlines()]
    (path := folder / "commands.json").write_text(json.dumps(words))
    program = str(PROGRAMS / "run_commands.py")
    answers = json.loads(run(url, sys.executable, program, name, str(path), user=user))
    failed = [(line, *answer) for line, answer in zip(words, answers, strict=True) if answer[0]]
    assert [] == failed
    return {" ".join(line): answer[1] for line, answer in zip(words, answers, strict=True)}


FORMATS = "--disk-format raw --container-format bare"
IMAGE_ID = "11111111-2222-3333-4444-555555555555"


def test_the_openstack_command(url: str, tmp_path: Path) -> None:
    listing = "image list -f json --property a=b"
    first = f"""
        image create --id {IMAGE_ID} --file DIR/data {FORMATS} --property a=b --tag t -f json one
        image set --name two --min-ram 5 --min-disk 6 --property c=d --tag u --shared {IMAGE_ID}
        image unset --property c --tag t {IMAGE_ID}
        image show -f json {IMAGE_ID}
        image save --file DIR/saved {IMAGE_ID}
        image add project {IMAGE_ID} alt
    """
    theirs = f"""
        image list -f json --shared --member-status pending
        image set --accept {IMAGE_ID}
        image list -f json --shared
    """
    second = f"""
        image member list -f json {IMAGE_ID}
        image remove project {IMAGE_ID} alt
        {listing} --long
        {listing} --shared
        {listing} --name two --status active --tag u --limit 1
        {listing} --sort-column Name --sort-ascending
        image list -f json --private --marker {IMAGE_ID}
        image list -f json --public
        image list -f json --community
        image list -f json --all
        image set --hidden --community {IMAGE_ID}
        image list -f json --hidden --community
        image set --unhidden --deactivate {IMAGE_ID}
        image set --activate --protected {IMAGE_ID}
        image set --unprotected {IMAGE_ID}
        image create {FORMATS} three
        image delete three
        image list -f json --name three
    """
    read: dict[str, Any] = {}
    for lines, user in ((first, "demo"), (theirs, "alt"), (second, "demo")):
        found = commands(url, "openstack", tmp_path, lines, user)
        read |= {line: json.loads(text) for line, text in found.items() if "-f json" in line}
    shown = read[f"image show -f json {IMAGE_ID}"]
    expected = ("two", "active", len(DATA), MD5, 5, 6, ["u"], "shared", "b")
    assert expected == (
        *(shown[name] for name in ("name", "status", "size", "checksum", "min_ram", "min_disk")),
        *(shown["tags"], shown["visibility"], shown["properties"]["a"]),
    )
    assert "c" not in shown["properties"]
    assert DATA == (tmp_path / "saved").read_bytes()
    for options in ("--shared --member-status pending", "--shared"):
        offered = read[f"image list -f json {options}"]
        assert IMAGE_ID in {image["ID"] for image in offered}
    (member,) = read[f"image member list -f json {IMAGE_ID}"]
    assert ("alt", "accepted") == (member["Member ID"], member["Status"])
    for line, images in read.items():
        if "image list" in line and "a=b" in line:
            assert [IMAGE_ID] == [image["ID"] for image in images], line
    assert [] == read["image list -f json --name three"]
    assert IMAGE_ID in {image["ID"] for image in read["image list -f json --hidden --community"]}
    assert_listed_by_novaclient(url, "two")


def assert_listed_by_novaclient(url: str, name: str) -> None:
    if reason := why_missing("novaclient-7.1.2"):
        pytest.skip(f"novaclient 7.1.2 is not installed: {reason}; run `make test-clients`")
    nova = str(CLIENTS / "novaclient-7.1.2" / "bin" / "nova")
    assert f"| {name} " in run(url, nova, "image-list")


def test_the_glance_command(url: str, tmp_path: Path) -> None:
    lines = f"""
        image-create --id {IMAGE_ID} --name one {FORMATS} --file DIR/data
        image-update --name two --property a=b --min-ram 5 {IMAGE_ID}
        image-tag-update {IMAGE_ID} t
        image-tag-delete {IMAGE_ID} t
        member-create {IMAGE_ID} alt
        member-list --image-id {IMAGE_ID}
        member-delete {IMAGE_ID} alt
        image-deactivate {IMAGE_ID}
        image-reactivate {IMAGE_ID}
        image-download --file DIR/saved {IMAGE_ID}
        image-show {IMAGE_ID}
        image-list
    """
    *_, shown, listed = commands(url, "glance", tmp_path, lines).values()
    assert MD5 in shown
    assert "| two " in listed
    assert DATA == (tmp_path / "saved").read_bytes()
    assert_listed_by_novaclient(url, "two")


def test_openstacksdk(url: str, tmp_path: Path) -> None:
    program = str(PROGRAMS / "openstacksdk_writes.py")
    found: Any = json.loads(
        run(url, sys.executable, program, str(tmp_path / "data"), str(tmp_path / "saved"))
    )
    listed = found.pop("listed")
    assert {"changed", "queued", "uploaded"} <= set(listed)
    assert {
        "created": ["active", len(DATA), MD5, "red"],
        "downloaded": True,
        "saved": True,
        "changed": ["changed", 7, True, ["green"]],
        "protected": 403,
        "members": [["alt", "pending"]],
        "deactivated": "deactivated",
        "reactivated": "active",
        "found": True,
        "deleted": True,
    } == found
    assert_listed_by_novaclient(url, "changed")
