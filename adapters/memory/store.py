"""The images and members of an embedded store, safe to use from several threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self, cast

from nova_image_shim.adapters.image_port import Image, ImageConflict, ImageNotFound
from nova_image_shim.adapters.memory.data import ImageData

MAX_REMOVED = 1000  # ids that are remembered


class Member(NamedTuple):
    """A project with which an image is shared: `pending`, `accepted` or `rejected`."""

    status: str
    created_at: str
    updated_at: str


class StoredImage(NamedTuple):
    """An image, its members by project id, and its data, which most seeded images lack."""

    image: Image
    members: Mapping[str, Member]
    data: ImageData | None = None

    @classmethod
    def from_dict(cls, image: Mapping[str, Any], before: Self | None = None) -> Self:
        """Separate the members from the image; data and times are those of the image before."""
        bare = {key: value for key, value in image.items() if key != "members"}
        known = before.members if before else {}
        members = {
            project_id: found
            if (found := known.get(project_id)) and found.status == status
            else Member(status, image["created_at"], image["updated_at"])
            for project_id, status in image.get("members", {}).items()
        }
        return cls(cast("Image", bare), members, before.data if before else None)

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of the image with its members."""
        members = {project_id: member.status for project_id, member in self.members.items()}
        return {**cast("dict[str, Any]", self.image), "members": members}


class ImageStore:
    """Images by id, in the order in which they were added.

    Args:
        images: complete Glance v2 images with the key `members`, as in `to_dict`.
    """

    def __init__(self, images: Iterable[Mapping[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        # Replaced as a whole, never changed: a list in another thread goes on over the old one.
        self.images: Mapping[str, StoredImage] = {}
        self._removed: deque[str] = deque(maxlen=MAX_REMOVED)
        self.load(images)

    def load(self, images: Iterable[Mapping[str, Any]]) -> None:
        """Replace all images."""
        stored = {image["id"]: StoredImage.from_dict(image) for image in images}
        with self._lock:
            self.images = stored
            self._removed.clear()

    def put(self, image: Mapping[str, Any]) -> None:
        """Add an image, or replace the one with its id."""
        with self._lock:
            self.images = {**self.images, image["id"]: StoredImage.from_dict(image)}

    def add(self, stored: StoredImage) -> None:
        """Add an image whose id no image has, nor had before it was removed.

        Raises:
            ImageConflict: one has or had it.
        """
        image_id = stored.image["id"]
        with self._lock:
            if image_id in self.images or image_id in self._removed:
                raise ImageConflict(f"Image ID {image_id} already exists!")
            self.images = {**self.images, image_id: stored}

    def change(self, image_id: str, change: Callable[[StoredImage], StoredImage]) -> StoredImage:
        """Replace an image by what a function returns, with no other write in between.

        Raises:
            ImageNotFound: the image does not exist. Errors of the function are passed on.
        """
        with self._lock:
            changed = change(self.get(image_id))
            self.images = {**self.images, image_id: changed}
            return changed

    def remove(
        self, image_id: str, check: Callable[[StoredImage], None] = lambda _image: None
    ) -> None:
        """Remove an image, unless a check of it raises.

        Raises:
            ImageNotFound: the image does not exist. Errors of the check are passed on.
        """
        with self._lock:
            check(self.get(image_id))
            self.images = {key: image for key, image in self.images.items() if key != image_id}
            self._removed.append(image_id)

    def get(self, image_id: str) -> StoredImage:
        """Return an image, whoever owns it, or raise `ImageNotFound`."""
        if image_id not in self.images:
            raise ImageNotFound(f"image {image_id} does not exist")
        return self.images[image_id]

    def all(self) -> list[dict[str, Any]]:
        """Return every image with its members."""
        return [stored.to_dict() for stored in self.images.values()]
