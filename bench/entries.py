"""The minimal translation of an image, shared by the contestants that are not a service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

GLANCE = os.environ["BENCH_GLANCE"]
PAGE = "/v2/images?limit=1000"

STATUS = {"active": ("ACTIVE", 100), "queued": ("SAVING", 25)}
ATTRIBUTES = frozenset(
    """
    id name status visibility protected os_hidden checksum os_hash_algo os_hash_value owner size
    virtual_size container_format disk_format created_at updated_at tags min_ram min_disk self file
    schema
    """.split()
)


def to_entries(prefix: str, project: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that translates an image; its links start with the prefix."""
    own = f"{prefix}/v2/{project}/images/"
    bookmark = f"{prefix}/{project}/images/"
    alternate = f"{GLANCE}/{project}/images/"
    servers = f"{prefix}/v2/{project}/servers/"
    servers_bookmark = f"{prefix}/{project}/servers/"

    def entry(image: dict[str, Any]) -> dict[str, Any]:
        image_id = image["id"]
        status, progress = STATUS[image["status"]]
        metadata = {key: image[key] for key in image if key not in ATTRIBUTES}
        nova_image = {
            "id": image_id,
            "name": image["name"],
            "minRam": image["min_ram"],
            "minDisk": image["min_disk"],
            "metadata": metadata,
            "created": image["created_at"],
            "updated": image["updated_at"],
            "status": status,
            "progress": progress,
            "links": [
                {"rel": "self", "href": own + image_id},
                {"rel": "bookmark", "href": bookmark + image_id},
                {
                    "rel": "alternate",
                    "type": "application/vnd.openstack.image",
                    "href": alternate + image_id,
                },
            ],
            "OS-EXT-IMG-SIZE:size": image["size"],
        }
        if server := metadata.get("instance_uuid"):
            links = [
                {"rel": "self", "href": servers + server},
                {"rel": "bookmark", "href": servers_bookmark + server},
            ]
            nova_image["server"] = {"id": server, "links": links}
        if config := metadata.get("auto_disk_config"):
            nova_image["OS-DCF:diskConfig"] = "AUTO" if config == "True" else "MANUAL"
        return nova_image

    return entry
