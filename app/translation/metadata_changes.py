"""Compute the changes to Glance properties that a metadata write needs.

A change never names an attribute: Glance would treat a key such as `owner` as the attribute, and
`add /owner` would give the image to another project for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.translator import BASE_ATTRIBUTES

_RESERVED = BASE_ATTRIBUTES | {"location", "deleted", "deleted_at"}
_BOOKKEEPING = "os_glance_"
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


def is_reserved(key: str) -> bool:
    """Return whether Glance would treat a key as an attribute."""
    return key in _RESERVED


def is_bookkeeping(key: str) -> bool:
    """Return whether Glance keeps its own records in a property."""
    return key.startswith(_BOOKKEEPING)


def to_changes(image: Image, items: Mapping[str, Any], *, replace_all: bool = False) -> Changes:
    """Return the changes that write items to an image's metadata.

    Args:
        image: the image before the change.
        items: validated metadata. A list is stored as JSON text. A `kernel_id` or `ramdisk_id`
            of `none` or "" is neither written nor removed.
        replace_all: remove all other properties except Glance's own.

    Raises:
        ReservedKey: an item would change one of Glance's own properties.
    """
    present: dict[str, Any] = {key: image[key] for key in image if key not in BASE_ATTRIBUTES}  # type: ignore[literal-required]
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
