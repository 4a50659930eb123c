"""Translate Glance v2 images into legacy Nova v2 images.

Source: nova at 12.0.0, nova/api/openstack/compute/views/images.py and nova/image/glance.py;
`alternate` links have the form of 2014.2.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.times import to_nova_time

NovaImage = dict[str, Any]

STATUS_TO_NOVA = {  # the legacy word and the progress in percent
    "active": ("ACTIVE", 100),
    "queued": ("SAVING", 25),
    "saving": ("SAVING", 50),
    "killed": ("ERROR", 0),
    "deleted": ("DELETED", 0),
    "pending_delete": ("DELETED", 0),
}
_UNKNOWN = ("UNKNOWN", 0)

# Glance's own attributes; all other keys of an image are metadata. Nova fetches this list with
# Glance's schema on every request.
BASE_ATTRIBUTES = frozenset(
    """
    id name status visibility protected os_hidden checksum os_hash_algo os_hash_value owner size
    virtual_size container_format disk_format created_at updated_at tags direct_url min_ram
    min_disk self file stores schema locations
    """.split()
)

JSON_PROPERTIES = ("block_device_mapping", "mappings")
_STRICT = json.JSONEncoder(allow_nan=False)
TRUE_WORDS = frozenset({"1", "t", "true", "on", "y", "yes"})


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates the images of one response."""

    links: Links
    show_size: bool = True  # `OS-EXT-IMG-SIZE:size`, which a Nova extension adds
    show_disk_config: bool = True  # `OS-DCF:diskConfig`, which another extension adds
    raw_mappings: bool = False  # `block_device_mapping` and `mappings` as the stored text

    def brief(self, image: Image) -> NovaImage:
        """Return an image as `GET /images` lists it: id, name and links."""
        image_id, name = image["id"], image.get("name")
        text = name if isinstance(name, str) else None
        return {"id": image_id, "name": text, "links": self.links.of_image(image_id)}

    def full(self, image: Image) -> NovaImage:
        """Return an image as `GET /images/detail` and `GET /images/{id}` show it.

        `server` and `OS-DCF:diskConfig` are present only if the property that they are derived
        from is set.
        """
        image_id, name = image["id"], image.get("name")
        metadata = to_metadata(image, raw_mappings=self.raw_mappings)
        status, progress = STATUS_TO_NOVA.get(f"{image.get('status')}", _UNKNOWN)
        nova_image: NovaImage = {
            "id": image_id,
            "name": name if isinstance(name, str) else None,
            "minRam": to_integer(image.get("min_ram")),
            "minDisk": to_integer(image.get("min_disk")),
            "metadata": metadata,
            "created": to_nova_time(image.get("created_at")),
            "updated": to_nova_time(image.get("updated_at")),
            "status": status,
            "progress": progress,
            "links": self.links.of_image(image_id),
            "OS-EXT-IMG-SIZE:size": to_integer(image.get("size")),
        }
        if not self.show_size:
            del nova_image["OS-EXT-IMG-SIZE:size"]
        if isinstance(server_id := metadata.get("instance_uuid"), str):
            nova_image["server"] = {"id": server_id, "links": self.links.of_server(server_id)}
        if self.show_disk_config and (config := metadata.get("auto_disk_config")) is not None:
            automatic = str(config).strip().lower() in TRUE_WORDS
            nova_image["OS-DCF:diskConfig"] = "AUTO" if automatic else "MANUAL"
        return nova_image


def to_integer(value: object) -> int:
    """Return a number that may be null, absent or text; anything other than a number is 0."""
    if type(value) is int:
        return value
    try:
        return int(value) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0


def to_metadata(image: Image, *, raw_mappings: bool = False) -> dict[str, Any]:
    """Return an image's custom properties, nulls included; JSON mappings are decoded if not raw."""
    everything: Mapping[str, Any] = image
    metadata = {key: everything[key] for key in everything if key not in BASE_ATTRIBUTES}
    for key in () if raw_mappings else JSON_PROPERTIES:
        if key in metadata and isinstance(text := metadata[key], str):
            metadata[key] = _decoded(text)
    return metadata


def _decoded(text: str) -> object:
    """Return the value of a JSON text, or the text itself if the value cannot be encoded again.

    Any user can store such a text. Nesting that is too deep or a number that is too large must
    not fail the whole list, as it does in Nova.
    """
    try:
        value = json.loads(text)
        orjson.dumps([[[[[[[[value]]]]]]]])  # it is a few levels deep in the response
        _STRICT.encode(value)  # orjson writes NaN and infinity as null
    except (ValueError, TypeError, RecursionError):
        return text
    return value
