"""The embedded store keeps the port's promises."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.contract import ImageServiceContract, new_id

from nova_image_shim.adapters.image_port import Context, ImageNotAuthorized, ImageNotFound
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

if TYPE_CHECKING:
    from nova_image_shim.adapters.image_port import ImageService


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


# What is not of the port: the control plane's way past its rules.


def image(image_id: str, **fields: Any) -> dict[str, Any]:
    return complete({"id": image_id, "owner": "demo", **fields})


DEMO = Context("demo", "req-test")


def test_load_replaces_all_images() -> None:
    service = MemoryImageService([image("a"), image("b")])
    loaded = [image("c", members={"alt": "pending"}), image("a", status="killed")]
    service.store.load(loaded)
    assert loaded == service.store.all()
    with pytest.raises(ImageNotFound):
        service.get(DEMO, "b")


def test_put_adds_or_replaces_an_image() -> None:
    service = MemoryImageService([image("a", protected=True), image("b")])
    service.store.put(image("a", owner="alt", status="queued", members={"demo": "accepted"}))
    service.store.put(image("c"))
    assert ["a", "b", "c"] == [found["id"] for found in service.store.all()]
    assert ("alt", "queued") == ((got := service.get(DEMO, "a"))["owner"], got["status"])


def test_remove_ignores_owner_and_protection() -> None:
    service = MemoryImageService([image("a", owner="alt", protected=True), image("b")])
    service.store.remove("a")
    assert ["b"] == [found["id"] for found in service.store.all()]
    with pytest.raises(ImageNotFound):
        service.store.remove("a")


def test_returned_images_are_copies() -> None:
    given = image("a", members={"alt": "accepted"})
    service = MemoryImageService([given])
    given["name"] = given["members"]["alt"] = "changed"
    (found,) = service.store.all()
    found["name"] = found["members"]["alt"] = "changed"
    assert [image("a", members={"alt": "accepted"})] == service.store.all()


def test_an_update_gets_the_time_of_the_clock() -> None:
    service = MemoryImageService([image("a")], now=lambda: datetime(2040, 1, 2, tzinfo=UTC))
    changed = service.update(DEMO, "a", add={"x": "y"}, replace={}, remove=[])
    assert "2040-01-02T00:00:00Z" == changed["updated_at"]


ADMIN = Context("admin", "req-test", roles=frozenset({"admin", "member"}))


def test_an_admin_lists_all_but_others_community_images() -> None:
    kinds = ("public", "private", "shared", "community")
    images = [
        image(f"{owner} {kind}", owner=owner, visibility=kind)
        for owner in ("admin", "alt")
        for kind in kinds
    ]
    service = MemoryImageService([*images, image("hidden", owner="alt", os_hidden=True)])
    found = {found["id"] for found in service.list_page(ADMIN, {}, limit=1000).images}
    assert {image["id"] for image in images} - {"alt community"} == found
    for image_id in ("alt community", "alt private", "hidden"):
        assert image_id == service.get(ADMIN, image_id)["id"]


def test_an_admin_can_change_all_and_delete_unprotected_images() -> None:
    service = MemoryImageService([image("a"), image("b", protected=True)])
    changed: Any = service.update(ADMIN, "b", add={"x": "y"}, replace={}, remove=[])
    assert "y" == changed["x"]
    service.delete(ADMIN, "a")
    with pytest.raises(ImageNotAuthorized):
        service.delete(ADMIN, "b")
    assert ["b"] == [found["id"] for found in service.store.all()]
