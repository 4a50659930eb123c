"""The image schema of the embedded image API: clients build their image classes from it.

Source: glance at 33.0.0, glance/api/v2/images.py, get_base_properties; the descriptions are left
out.
"""

from typing import Any

from nova_image_shim.fakecloud.image_file import STATUSES, VISIBILITIES

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["null", "string"], "maxLength": 255}
_TIME = {"type": "string", "readOnly": True}
_NUMBER = {"type": "integer"}
_READ_ONLY_NUMBER = {"type": ["null", "integer"], "readOnly": True}
_READ_ONLY_TEXT = {"type": ["null", "string"], "readOnly": True}
_FLAG = {"type": "boolean"}


def _links(**hrefs: str) -> list[dict[str, str]]:
    return [{"rel": rel, "href": href} for rel, href in hrefs.items()]


PROPERTIES: dict[str, dict[str, Any]] = {
    "id": _TEXT,
    "name": _TEXT_OR_NULL,
    "status": {"type": "string", "readOnly": True, "enum": STATUSES},
    "visibility": {"type": "string", "enum": VISIBILITIES},
    "protected": _FLAG,
    "os_hidden": _FLAG,
    "checksum": _READ_ONLY_TEXT,
    "os_hash_algo": _READ_ONLY_TEXT,
    "os_hash_value": _READ_ONLY_TEXT,
    "owner": _TEXT_OR_NULL,
    "size": _READ_ONLY_NUMBER,
    "virtual_size": _READ_ONLY_NUMBER,
    "container_format": _TEXT_OR_NULL,
    "disk_format": _TEXT_OR_NULL,
    "created_at": _TIME,
    "updated_at": _TIME,
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    "min_ram": _NUMBER,
    "min_disk": _NUMBER,
    "self": {"type": "string", "readOnly": True},
    "file": {"type": "string", "readOnly": True},
    "schema": {"type": "string", "readOnly": True},
}

IMAGE: dict[str, Any] = {
    "name": "image",
    "properties": PROPERTIES,
    "additionalProperties": _TEXT,
    "links": _links(self="{self}", enclosure="{file}", describedby="{schema}"),
}

IMAGES: dict[str, Any] = {
    "name": "images",
    "properties": {
        "images": {"type": "array", "items": IMAGE},
        "first": _TEXT,
        "next": _TEXT,
        "schema": _TEXT,
    },
    "links": _links(first="{first}", next="{next}", describedby="{schema}"),
}
