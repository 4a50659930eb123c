"""Compute the changes to Glance properties that a metadata write needs.

A change never names an attribute: Glance would treat a key such as `owner` as the attribute, and
`add /owner` would give the image to another project for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.translator import BASE_ATTRIBUTES, to_metadata

RESERVED = BASE_ATTRIBUTES | {"location", "deleted", "deleted_at"}
_BOOT_IMAGES = {"kernel_id", "ramdisk_id"}


class ReservedKey(Exception):
    """The client may not write this key."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Custom properties to set and remove, and the number of them afterwards."""

    add: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    count: int = 0

    def __bool__(self) -> bool:
        return bool(self.add or self.replace or self.remove)


def is_bookkeeping(key: str) -> bool:
    """Return whether Glance keeps its own records in a property."""
    return key.startswith("os_glance_")


def to_changes(image: Image, items: Mapping[str, Any], *, replace_all: bool = False) -> Changes:
    """Return the changes that write validated items to an image's metadata.

    A list is stored as JSON text. A `kernel_id` or `ramdisk_id` of `none` or "" is neither
    written nor removed. `replace_all` removes all other properties except Glance's own.

    Raises:
        ReservedKey: an item would change one of Glance's own properties.
    """
    present = to_metadata(image, raw_mappings=True)
    written: dict[str, str] = {}
    for key, value in items.items():
        if is_bookkeeping(key):
            if present.get(key) != value:
                raise ReservedKey(key)
        elif not (key in _BOOT_IMAGES and str(value).lower() in {"", "none"}):
            written[key] = value if isinstance(value, str) else to_json(value).decode()
    others = [key for key in present if key not in items and not is_bookkeeping(key)]
    remove = others if replace_all else []
    return Changes(
        add={key: value for key, value in written.items() if key not in present},
        replace={key: value for key, value in written.items() if key in present},
        remove=remove,
        count=len((present.keys() | written.keys()) - set(remove)),
    )
