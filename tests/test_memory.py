"""The embedded store keeps the port's promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract import ImageServiceContract, new_id

from nova_image_shim.adapters.image_file import complete
from nova_image_shim.adapters.memory import MemoryImageService
from nova_image_shim.adapters.port import Context

if TYPE_CHECKING:
    from nova_image_shim.adapters.port import ImageService


def stocked(images: tuple[dict[str, Any], ...]) -> MemoryImageService:
    """Return a store of these images, a few of them of one and the same second."""
    return MemoryImageService(
        complete({"id": new_id(), "created_at": f"2020-01-01T00:00:{number // 2:02}Z", **image})
        for number, image in enumerate(images)
    )


class TestMemoryImageService(ImageServiceContract):
    def stock(self, *images: dict[str, Any]) -> ImageService:
        return stocked(images)

    def context(self, project: str) -> Context:
        return Context(project, "req-test")

    def test_images_of_one_second_come_by_id(self) -> None:
        images = self.listed(self.crowd())
        keys = [(image["created_at"], image["id"]) for image in images]
        assert sorted(keys, key=str, reverse=True) == keys
