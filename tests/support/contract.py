"""The contract of every image store: one test suite, subclassed for each adapter.

A missing behaviour of an adapter gets a test here first. This keeps the embedded store faithful.
"""

import uuid
from abc import ABC, abstractmethod
from typing import Any

import pytest

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.image_port import Context, Image, ImageService
from nova_image_shim.translation.filters import to_glance_query

# Names of custom properties, among them all that mean something to Glance or its database model.
PROPERTIES = """
limit marker sort sort_key sort_dir member_status tag changes-since members properties metadata
registry keys values items iteritems get update save delete to_dict is_public size_min min_ram_max
x_min _max _ __tablename__ __mapper__ _sa_registry _x query next copy is_admin
os_type OWNER Limit image_type a.b:c
""".split()
NOWHERE = "00000000-0000-0000-0000-000000000000"


def new_id() -> str:
    return str(uuid.uuid4())


def names(images: list[Image]) -> set[Any]:
    return {image["name"] for image in images}


def ids(images: list[Image]) -> list[str]:
    return [image["id"] for image in images]


class ImageServiceContract(ABC):
    """Tests for an image store; a subclass fills the store and provides the caller's context."""

    @abstractmethod
    def stock(self, *images: dict[str, Any]) -> ImageService:
        """Return a store that holds these images and no others.

        Each image has an `owner` (a project's name) and a `name`. It may have `visibility`,
        `members` (project name to status), `status` (active, queued, deactivated), `protected`,
        `os_hidden`, `min_ram`, `min_disk`, and custom properties.
        """

    @abstractmethod
    def context(self, project: str) -> Context:
        """Return the context of a member of a project, `demo` or `alt`."""

    def listed(self, service: ImageService, project: str = "demo", **query: str) -> list[Image]:
        """Return a project's whole list."""
        return service.list_page(self.context(project), query, limit=1000).images

    VISIBLE: tuple[dict[str, Any], ...] = (
        {"owner": "demo", "name": "own private", "visibility": "private"},
        {"owner": "demo", "name": "own community", "visibility": "community"},
        {"owner": "demo", "name": "own shared", "visibility": "shared"},
        {"owner": "alt", "name": "public", "visibility": "public"},
        {
            "owner": "alt",
            "name": "accepted",
            "visibility": "shared",
            "members": {"demo": "accepted"},
        },
    )
    BY_ID_ONLY: tuple[dict[str, Any], ...] = (
        {"owner": "demo", "name": "own hidden", "visibility": "private", "os_hidden": True},
        {"owner": "alt", "name": "public hidden", "visibility": "public", "os_hidden": True},
        {"owner": "alt", "name": "community", "visibility": "community"},
        {"owner": "alt", "name": "pending", "visibility": "shared", "members": {"demo": "pending"}},
        {
            "owner": "alt",
            "name": "rejected",
            "visibility": "shared",
            "members": {"demo": "rejected"},
        },
    )
    UNSEEN: tuple[dict[str, Any], ...] = (
        {"owner": "alt", "name": "private", "visibility": "private"},
        {"owner": "alt", "name": "shared with nobody", "visibility": "shared"},
    )

    def test_a_list_holds_public_own_and_accepted_images(self) -> None:
        service = self.stock(*self.VISIBLE, *self.BY_ID_ONLY, *self.UNSEEN)
        assert {image["name"] for image in self.VISIBLE} == names(self.listed(service))

    def test_hidden_community_and_offered_images_can_be_shown_by_id(self) -> None:
        images = [{**image, "id": new_id()} for image in (*self.VISIBLE, *self.BY_ID_ONLY)]
        service = self.stock(*images)
        shown = [service.get(self.context("demo"), image["id"]) for image in images]
        assert [image["name"] for image in images] == [image["name"] for image in shown]

    @pytest.mark.parametrize("kind", [0, 1])
    def test_another_projects_image_is_not_found(self, kind: int) -> None:
        image = {**self.UNSEEN[kind], "id": new_id()}
        service = self.stock(image)
        with pytest.raises(port.ImageNotFound):
            service.get(self.context("demo"), image["id"])

    @pytest.mark.parametrize(
        "image_id", [NOWHERE, "no-uuid", "Café 日本", "a b?c=d&e#f", "x" * 255]
    )
    def test_an_unknown_image_is_not_found(self, image_id: str) -> None:
        with pytest.raises(port.ImageNotFound):
            self.stock().get(self.context("demo"), image_id)

    def test_an_image_has_its_attributes_and_properties(self) -> None:
        image = {"owner": "demo", "name": "Café 日本", "min_ram": 512, "min_disk": 20}
        properties = {"os_distro": "debian", "a.b:c": "", "description": "naïve ☃ \n line"}
        stored = {**image, **properties, "id": new_id(), "visibility": "private"}
        service = self.stock(stored)
        shown: dict[str, Any] = dict(service.get(self.context("demo"), stored["id"]))
        expected = {key: value for key, value in stored.items() if key != "owner"}
        assert expected == {key: shown[key] for key in expected}
        assert shown == self.listed(service)[0]

    @pytest.mark.parametrize("status", ["active", "queued", "deactivated"])
    def test_an_image_of_any_status_is_listed(self, status: str) -> None:
        service = self.stock({"owner": "demo", "name": "one", "status": status})
        assert [status] == [image["status"] for image in self.listed(service)]

    def crowd(self) -> ImageService:
        return self.stock(*({"owner": "demo", "name": f"image {number}"} for number in range(7)))

    def test_the_newest_image_comes_first(self) -> None:
        times = [image["created_at"] for image in self.listed(self.crowd())]
        assert (7, sorted(times, key=str, reverse=True)) == (len(times), times)

    def test_the_oldest_image_can_come_first(self) -> None:
        service = self.crowd()
        backwards = service.list_page(self.context("demo"), {}, limit=1000, oldest_first=True)
        assert ids(self.listed(service))[::-1] == ids(backwards.images)

    @pytest.mark.parametrize("oldest_first", [False, True])
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    def test_pages_hold_every_image_once(self, limit: int, oldest_first: bool) -> None:
        service = self.crowd()
        context = self.context("demo")
        found: list[str] = []
        marker = None
        while True:
            page = service.list_page(
                context, {}, limit=limit, marker=marker, oldest_first=oldest_first
            )
            assert len(page.images) <= limit
            found += ids(page.images)
            if (marker := page.next_marker) is None:
                break
        expected = ids(self.listed(service))
        assert (expected[::-1] if oldest_first else expected) == found

    def test_a_page_begins_after_its_marker(self) -> None:
        service = self.crowd()
        everything = ids(self.listed(service))
        page = service.list_page(self.context("demo"), {}, limit=2, marker=everything[2])
        assert everything[3:5] == ids(page.images)

    def test_nothing_comes_after_the_last_image(self) -> None:
        service = self.crowd()
        last = ids(self.listed(service))[-1]
        page = service.list_page(self.context("demo"), {}, limit=2, marker=last)
        assert port.Page([], None) == page

    def test_a_marker_need_not_match_the_filter(self) -> None:
        service = self.crowd()
        everything = self.listed(service)
        query = {"name": str(everything[5]["name"])}
        page = service.list_page(self.context("demo"), query, limit=9, marker=everything[1]["id"])
        assert [everything[5]["id"]] == ids(page.images)

    @pytest.mark.parametrize("marker", [NOWHERE, "no-uuid", "x" * 300, "\r", " \t"])
    def test_an_unknown_marker_is_refused(self, marker: str) -> None:
        service = self.stock({"owner": "demo", "name": "one"})
        with pytest.raises(port.MarkerNotFound, match=f"^No image found with ID {marker}$"):
            service.list_page(self.context("demo"), {}, limit=1, marker=marker)

    def test_another_projects_marker_is_refused_like_an_unknown_one(self) -> None:
        image = {**self.UNSEEN[0], "id": new_id()}
        with pytest.raises(port.MarkerNotFound, match=f"^No image found with ID {image['id']}$"):
            self.stock(image).list_page(self.context("demo"), {}, limit=1, marker=image["id"])

    FILTERED: tuple[dict[str, Any], ...] = (
        {"owner": "demo", "name": "plain", "min_ram": 512, "image_type": "snapshot"},
        {"owner": "demo", "name": "in:a,b", "min_disk": 20, "instance_uuid": "aa640691"},
        {"owner": "demo", "name": "CentOS: 7", "status": "queued", "os_type": "Linux"},
        {"owner": "demo", "name": "Café 日本", "status": "deactivated", "os_type": "linux"},
        {"owner": "demo", "name": "", "os_type": "a b+c&d"},
    )

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"name": "plain"}, {"plain"}),
            ({"name": "Plain"}, set()),
            ({"name": "eq:in:a,b"}, {"in:a,b"}),
            ({"name": "eq:CentOS: 7"}, {"CentOS: 7"}),
            ({"name": "Café 日本"}, {"Café 日本"}),
            ({"name": ""}, {""}),
            ({"name": '"plain"'}, set()),
            ({"name": 'eq:"a:b'}, set()),
            ({"name": "plain,CentOS"}, set()),
            ({"name": "nobody"}, set()),
            ({"status": "queued"}, {"CentOS: 7"}),
            ({"status": "in:queued,saving"}, {"CentOS: 7"}),
            ({"status": "in:uploading,importing,deactivated"}, {"Café 日本"}),
            ({"status": "in:deleted,pending_delete"}, set()),
            ({"status": "killed"}, set()),
            ({"status": "bogus"}, set()),
            ({"status": "eq:foo:bar"}, set()),
            ({"status": ""}, set()),
            ({"min_ram": "512"}, {"plain"}),
            ({"min_ram": "511"}, set()),
            ({"min_disk": "20"}, {"in:a,b"}),
            ({"image_type": "snapshot"}, {"plain"}),
            ({"image_type": "SNAPSHOT"}, set()),
            ({"instance_uuid": "aa640691"}, {"in:a,b"}),
            ({"instance_uuid": ""}, set()),
            ({"os_type": "linux"}, {"Café 日本"}),
            ({"os_type": "a b+c&d"}, {""}),
            ({"os_type": "in:linux,Linux"}, set()),
            ({"os_type": "linux", "status": "deactivated"}, {"Café 日本"}),
            ({"os_type": "linux", "status": "active"}, set()),
            ({"updated_at": "gte:2001-01-01T00:00:00Z", "name": "plain"}, {"plain"}),
            ({"updated_at": "gte:2001", "name": "plain"}, {"plain"}),
            ({"updated_at": "gte:20010101T000000+0900", "name": "plain"}, {"plain"}),
            ({"updated_at": "gte:2099-01-01"}, set()),
        ],
    )
    def test_a_filter_finds_matching_images(self, query: dict[str, str], found: set[str]) -> None:
        service = self.stock(*self.FILTERED)
        assert found == names(self.listed(service, **query))

    def test_a_filter_on_any_property_finds_it(self) -> None:
        """Filters are those of the service, which compares some itself; the rest are Glance's."""
        ids = [new_id() for _ in range(2)]
        # A change to Glance's own method `delete` is lost there; a new image may have it.
        service = self.stock(
            *({"owner": "demo", "name": key, "id": key, "delete": f"of {key}"} for key in ids)
        )
        for image_id in ids:
            written = {name: f"of {image_id}" for name in PROPERTIES if name != "delete"}
            service.update(self.context("demo"), image_id, port.Changes(written))
        found = {}
        for name in PROPERTIES:
            query = to_glance_query({f"property-{name}": f"of {ids[0]}"})
            found[name] = names(query.matching(self.listed(service, **query.params)))
        assert {name: {ids[0]} for name in PROPERTIES} == found

    def test_changes_since_includes_the_second_of_the_change(self) -> None:
        service = self.stock({"owner": "demo", "name": "one"})
        (image,) = self.listed(service)
        assert [image] == self.listed(service, updated_at=f"gte:{image['updated_at']}")

    def owned(self, **fields: Any) -> tuple[ImageService, str]:
        image = {"owner": "demo", "name": "one", "id": new_id(), "a": "1", "b": "2", **fields}
        return self.stock(image), image["id"]

    def test_properties_are_added_replaced_and_removed(self) -> None:
        service, image_id = self.owned(visibility="shared", members={"alt": "accepted"})
        before = service.get(self.context("demo"), image_id)
        add = {"c/d~e": "Café", "x.y": ""}
        after = service.update(self.context("demo"), image_id, port.Changes(add, {"a": "9"}, ["b"]))
        expected = {key: value for key, value in before.items() if key != "b"}
        expected |= {**add, "a": "9", "updated_at": after["updated_at"]}
        assert (expected, expected) == (after, service.get(self.context("demo"), image_id))
        assert expected == service.get(self.context("alt"), image_id)

    def test_adding_an_existing_property_overwrites_it(self) -> None:
        service, image_id = self.owned()
        service.update(self.context("demo"), image_id, port.Changes({"a": "9"}))
        shown: dict[str, Any] = dict(service.get(self.context("demo"), image_id))
        assert "9" == shown["a"]

    @pytest.mark.parametrize(
        "change",
        [
            {"replace": {"c": "9"}},
            {"remove": ["c"]},
            {"replace": {"a": "9"}, "remove": ["c"]},
        ],
    )
    def test_a_conflicting_change_changes_nothing(self, change: dict[str, Any]) -> None:
        service, image_id = self.owned()
        before = service.get(self.context("demo"), image_id)
        with pytest.raises(port.ImageConflict):
            service.update(self.context("demo"), image_id, port.Changes(**change))
        assert before == service.get(self.context("demo"), image_id)

    @pytest.mark.parametrize("visibility", ["public", "community", "shared"])
    def test_another_projects_image_is_not_changed(self, visibility: str) -> None:
        members = {"members": {"alt": "accepted"}} if visibility == "shared" else {}
        service, image_id = self.owned(visibility=visibility, **members)
        before = service.get(self.context("demo"), image_id)
        with pytest.raises(port.ImageNotAuthorized):
            service.update(self.context("alt"), image_id, port.Changes({"c": "3"}))
        with pytest.raises(port.ImageNotAuthorized):
            service.delete(self.context("alt"), image_id)
        assert before == service.get(self.context("demo"), image_id)

    def test_an_invisible_image_cannot_be_changed(self) -> None:
        service, image_id = self.owned(visibility="private")
        with pytest.raises(port.ImageNotFound):
            service.update(self.context("alt"), image_id, port.Changes({"c": "3"}))
        with pytest.raises(port.ImageNotFound):
            service.delete(self.context("alt"), image_id)

    def test_a_deleted_image_is_not_found(self) -> None:
        service, image_id = self.owned()
        service.delete(self.context("demo"), image_id)
        assert [] == self.listed(service)
        with pytest.raises(port.ImageNotFound):
            service.get(self.context("demo"), image_id)
        with pytest.raises(port.ImageNotFound):
            service.delete(self.context("demo"), image_id)
        with pytest.raises(port.MarkerNotFound):
            service.list_page(self.context("demo"), {}, limit=1, marker=image_id)

    def test_a_protected_image_is_not_deleted(self) -> None:
        service, image_id = self.owned(protected=True)
        with pytest.raises(port.ImageNotAuthorized):
            service.delete(self.context("demo"), image_id)
        assert image_id == service.get(self.context("demo"), image_id)["id"]
