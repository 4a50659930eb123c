"""From the metadata a client sends to the changes that Glance is asked for: pure.

A change names single properties and never an attribute: Glance takes a key like `owner` for the
attribute, and `add /owner` would give the image away for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.translator import BASE_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nova_image_shim.adapters.image_port import Image

_RESERVED = BASE_ATTRIBUTES | {"location", "deleted", "deleted_at"}
_BOOKKEEPING = "os_glance_"
_BOOT_IMAGES = {"kernel_id", "ramdisk_id"}


class ReservedKey(Exception):
    """A key that is not the client's to write."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Custom properties to set and to take away, and how many there are then."""

    add: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    count: int = 0

    def __bool__(self) -> bool:
        return bool(self.add or self.replace or self.remove)


def is_reserved(key: str) -> bool:
    """Tell whether Glance would take a key for an attribute of its own."""
    return key in _RESERVED


def is_bookkeeping(key: str) -> bool:
    """Tell whether a property is Glance's own."""
    return key.startswith(_BOOKKEEPING)


def to_changes(image: Image, items: Mapping[str, Any], *, replace_all: bool = False) -> Changes:
    """Return what makes an image's metadata hold the items.

    Args:
        image: the image as it is.
        items: checked metadata; a list is stored as JSON text. `kernel_id` and `ramdisk_id` that
            say `none` or nothing are neither written nor removed.
        replace_all: take away every property that the items do not name, but for Glance's own.

    Raises:
        ReservedKey: an item has a key of Glance's own bookkeeping and not its present value.
    """
    present: dict[str, Any] = {key: image[key] for key in image if key not in BASE_ATTRIBUTES}  # type: ignore[literal-required]
    written: dict[str, str] = {}
    for key, value in items.items():
        if is_bookkeeping(key):
            if present.get(key) != value:
                raise ReservedKey(key)
        elif not (key in _BOOT_IMAGES and str(value).lower() in {"", "none"}):
            written[key] = value if isinstance(value, str) else to_json(value).decode()
    gone = [key for key in present if key not in items and not is_bookkeeping(key)]
    remove = gone if replace_all else []
    return Changes(
        add={key: value for key, value in written.items() if key not in present},
        replace={key: value for key, value in written.items() if key in present},
        remove=remove,
        count=len((present.keys() | written.keys()) - set(remove)),
    )
