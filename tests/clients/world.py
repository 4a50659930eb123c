"""The images for all clients, their expected form, and the clients' task."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST_CREATED = datetime(2024, 2, 1, 12, 0, 0, tzinfo=UTC)
PAGE_SIZE = 7

# Glance's fields. There are more images than Glance's default page of 25, since most clients do not
# page and one response must hold them all.
IMAGES: tuple[dict[str, Any], ...] = (
    {"name": "plain"},
    {"name": "debian 12 (bookworm)", "min_disk": 3, "min_ram": 512},
    {"name": "described", "architecture": "x86_64", "os_distro": "debian", "note": "two words"},
    {"name": "ünïcode 日本"},
    {"name": "queued", "status": "queued"},
    {"name": "twin"},
    {"name": "twin", "os_type": "linux"},
    *({"name": f"bulk-{number:02}", "min_ram": number} for number in range(30)),
    {"name": "to change", "kept": "as it is"},
    {"name": "to delete"},
)
ATTRIBUTES = {"id", "name", "status", "min_disk", "min_ram", "created_at"}
STATUSES = {"active": ("ACTIVE", 100), "queued": ("SAVING", 25)}


@dataclass(frozen=True)
class Task:
    """The task of a client's program.

    Args:
        show: ids of images to show.
        name: an image's unique name.
        unknown: an id that no image has.
        change: the image whose metadata to write.
        set: the metadata to set and delete again.
        delete: the image to delete.
        page_size: the number of images per page.
    """

    show: list[str]
    name: str
    unknown: str
    change: str
    set: dict[str, str]
    delete: str
    page_size: int = PAGE_SIZE


def glance_images() -> list[dict[str, Any]]:
    """Return the images in Glance's form, without ids, oldest first and an hour apart."""
    return [
        {"status": "active", "created_at": FIRST_CREATED + timedelta(hours=number), **image}
        for number, image in enumerate(IMAGES)
    ]


def nova_image(image: dict[str, Any]) -> dict[str, Any]:
    """Return the form in which a client must see an image, with Nova's field names."""
    status, progress = STATUSES[image["status"]]
    created = image["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": image["id"],
        "name": image["name"],
        "status": status,
        "progress": progress,
        "minDisk": image.get("min_disk", 0),
        "minRam": image.get("min_ram", 0),
        "created": created,
        "updated": created,
        "metadata": {key: value for key, value in image.items() if key not in ATTRIBUTES},
    }


def make_task(images: list[dict[str, Any]]) -> Task:
    """Return the task for images in the order of `IMAGES`, with ids."""
    first = {image["name"]: image["id"] for image in reversed(images)}
    return Task(
        show=[image["id"] for image in images[:5]],
        name="debian 12 (bookworm)",
        unknown=str(uuid.uuid4()),
        change=first["to change"],
        set={"colour": "blue", "of": "two words"},
        delete=first["to delete"],
    )
