"""The embedded store keeps the port's promises."""

from typing import Any

from support.contract import ImageServiceContract, new_id

from nova_image_shim.adapters.image_port import Context, ImageService
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete


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
        return Context(project, "req-test", roles=frozenset({"member"}))

    def test_images_of_one_second_come_by_id(self) -> None:
        images = self.listed(self.crowd())
        keys = [(image["created_at"], image["id"]) for image in images]
        assert sorted(keys, key=str, reverse=True) == keys


# What is not of the port: the control plane's way past its rules.


def image(image_id: str, **fields: Any) -> dict[str, Any]:
    return complete({"id": image_id, "owner": "demo", **fields})


DEMO = Context("demo", "req-test", roles=frozenset({"member"}))


def test_put_adds_or_replaces_an_image() -> None:
    service = MemoryImageService([image("a", protected=True), image("b")])
    service.store.put(image("a", owner="alt", status="queued", members={"demo": "accepted"}))
    service.store.put(image("c"))
    assert ["a", "b", "c"] == [found["id"] for found in service.store.all()]
    assert ("alt", "queued") == ((got := service.get(DEMO, "a"))["owner"], got["status"])


def test_returned_images_are_copies() -> None:
    given = image("a", members={"alt": "accepted"})
    service = MemoryImageService([given])
    given["name"] = given["members"]["alt"] = "changed"
    (found,) = service.store.all()
    found["name"] = found["members"]["alt"] = "changed"
    assert [image("a", members={"alt": "accepted"})] == service.store.all()
