"""Compute the changes to Glance properties that a metadata write needs.

A change never names an attribute: Glance would treat a key such as `owner` as the attribute, and
`add /owner` would give the image to another project for good.
"""

from collections.abc import Mapping
from typing import Any

from nova_image_shim.adapters.image_port import Changes, Image
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.translator import BASE_ATTRIBUTES, to_metadata

RESERVED = BASE_ATTRIBUTES | {"location", "deleted", "deleted_at"}
_BOOT_IMAGES = {"kernel_id", "ramdisk_id"}


class ReservedKey(Exception):
    """The client may not write this key."""


def is_bookkeeping(key: str) -> bool:
    """Return whether Glance keeps its own records in a property."""
    return key.startswith("os_glance_")


def to_changes(
    image: Image, items: Mapping[str, Any], *, replace_all: bool = False
) -> tuple[Changes, int]:
    """Return the changes that write validated items, and the number of properties afterwards.

    A list is stored as JSON, a number or boolean as Python writes it. A `kernel_id` or
    `ramdisk_id` of `none` or "" is neither written nor removed. `replace_all` removes all other
    properties except Glance's own.

    Raises:
        ReservedKey: an item would change one of Glance's own properties.
    """
    present = to_metadata(image, raw_mappings=True)
    written: dict[str, str] = {}
    for key, value in items.items():
        text = to_json(value).decode() if isinstance(value, list) else str(value)
        if is_bookkeeping(key):
            if present.get(key) != text:
                raise ReservedKey(key)
        elif not (key in _BOOT_IMAGES and text.lower() in {"", "none"}):
            written[key] = text
    others = [key for key in present if key not in items and not is_bookkeeping(key)]
    remove = others if replace_all else []
    added = {key: value for key, value in written.items() if key not in present}
    replaced = {key: value for key, value in written.items() if key in present}
    count = len((present.keys() | written.keys()) - set(remove))
    return Changes(added, replaced, remove), count
