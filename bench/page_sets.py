"""Generate the static Glance's images: realistic, and the same every time."""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    Image = dict[str, Any]

NEWEST = datetime(2025, 6, 1, tzinfo=UTC)
MIB = 2**20
SNAPSHOT_SHARE = 0.2
SYSTEMS = (
    ("ubuntu", "22.04", "linux"),
    ("debian", "12", "linux"),
    ("rocky", "9.4", "linux"),
    ("windows-server", "2022", "windows"),
)
NON_ASCII_NAMES = ("Übungsserver Größe", "базовый образ", "本番サーバー", "sauvegarde 🚀 été")


class PageSet(NamedTuple):
    """A named list of images, newest first."""

    name: str
    images: list[Image]

    def pages(self, limit: int) -> Iterator[tuple[str, bytes]]:
        """Yield marker and body of each page in Glance's form; the first marker is empty.

        Args:
            limit: images per page.
        """
        for start in range(0, len(self.images), limit):
            images = self.images[start : start + limit]
            marker = self.images[start - 1]["id"] if start else ""
            body: dict[str, Any] = {
                "images": images,
                "first": f"/v2/images?limit={limit}",
                "schema": "/v2/schemas/images",
            }
            if len(images) == limit:  # Glance links to a next page even if it is empty
                body["next"] = f"/v2/images?limit={limit}&marker={images[-1]['id']}"
            yield marker, json.dumps(body).encode()
        if len(self.images) % limit == 0:
            empty = {"images": [], "first": "/v2/images", "schema": "/v2/schemas/images"}
            yield self.images[-1]["id"], json.dumps(empty).encode()


def make_page_set(name: str, count: int, *, ascii_names: bool = True) -> PageSet:
    """Return a set of `count` images, a fifth of them snapshots."""
    chance = random.Random(count)
    return PageSet(name, [_image(chance, number, ascii_names) for number in range(count)])


def _image(chance: random.Random, number: int, ascii_names: bool) -> Image:
    system, version, kind = SYSTEMS[number % len(SYSTEMS)]
    created = NEWEST - timedelta(hours=number)
    image_id = _uuid(chance)
    name = f"{system}-{version}-{created:%Y%m%d}-{number}"
    return {
        "hw_disk_bus": "scsi",
        "hw_scsi_model": "virtio-scsi",
        "hw_qemu_guest_agent": "yes",
        "os_distro": system,
        "os_version": version,
        "os_type": kind,
        "architecture": "x86_64",
        **(_snapshot_properties(chance) if chance.random() < SNAPSHOT_SHARE else {}),
        "name": name if ascii_names else f"{NON_ASCII_NAMES[number % 4]} {number}",
        "disk_format": "qcow2",
        "container_format": "bare",
        "visibility": "public" if number % 3 else "private",
        "size": chance.randrange(200 * MIB, 8000 * MIB),
        "virtual_size": None,
        "status": "active" if number % 50 else "queued",
        "checksum": f"{chance.getrandbits(128):032x}",
        "protected": False,
        "min_ram": 512 * (number % 5),
        "min_disk": 10 * (number % 4),
        "owner": f"{chance.getrandbits(128):032x}",
        "os_hidden": False,
        "os_hash_algo": "sha512",
        "os_hash_value": f"{chance.getrandbits(512):0128x}",
        "id": image_id,
        "created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "updated_at": f"{created + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
        "tags": [],
        "self": f"/v2/images/{image_id}",
        "file": f"/v2/images/{image_id}/file",
        "schema": "/v2/schemas/image",
    }


def _snapshot_properties(chance: random.Random) -> dict[str, str]:
    return {
        "image_type": "snapshot",
        "image_location": "snapshot",
        "image_state": "available",
        "instance_uuid": _uuid(chance),
        "user_id": f"{chance.getrandbits(128):032x}",
        "owner_id": f"{chance.getrandbits(128):032x}",
        "base_image_ref": _uuid(chance),
        "boot_roles": "member,reader",
        "auto_disk_config": "True",
    }


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
