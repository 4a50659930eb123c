"""What the embedded cloud begins with: images, projects, users, from one file or by default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nova_image_shim.adapters.image_file import load_images

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seed:
    """What a cloud begins with.

    Args:
        images: complete Glance v2 images with `members`, as `image_file.load_images` gives them.
    """

    images: list[dict[str, Any]] = field(default_factory=list)


def load_seed(path: Path | None = None) -> Seed:
    """Return the seed that a file holds; without a path the one that ships with us.

    Raises:
        ImageFileError: the file cannot be used; the text names the item and the reason.
    """
    return Seed(images=load_images(path))
