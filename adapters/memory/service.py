"""An image store in memory that behaves like Glance; a restart loses its contents.

For trying the service without a cloud and for tests against it: visibility, order, markers,
filters and refusals are Glance's.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.policy import is_visible, may
from nova_image_shim.adapters.memory.query import find_page
from nova_image_shim.adapters.memory.store import ImageStore, StoredImage

_now = partial(datetime.now, UTC)


class MemoryImageService(port.ImageService):
    """The port over an `ImageStore`; a changed image gets the time that `now` returns, in UTC."""

    def __init__(
        self,
        images: Iterable[Mapping[str, Any]] = (),
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.store = ImageStore(images)
        self._now = now

    def endpoint(self, auth: object) -> None:  # noqa: ARG002
        """Return None: Glance is not used."""
        return

    def list_page(
        self,
        context: port.Context,
        query: Mapping[str, str],
        *,
        limit: int,
        marker: str | None = None,
        oldest_first: bool = False,
    ) -> port.Page:
        """Return a page of at most 1000 images, as Glance does."""
        paging = {"limit": str(limit), "sort_dir": "asc" if oldest_first else "desc"}
        if marker:
            paging["marker"] = marker
        return self.find(context, {**query, **paging}.items())

    def find(self, context: port.Context, pairs: Iterable[tuple[str, str]]) -> port.Page:
        """Return the page that the parameters of a Glance v2 list ask for.

        Raises:
            ImageBadRequest: a parameter is invalid, or the caller cannot see the marker's image.
        """
        return find_page(context, self.store.images, pairs)

    def get(self, context: port.Context, image_id: str) -> port.Image:
        """Return an image that the caller may see."""
        stored = self.store.images.get(image_id)
        if stored is None or not is_visible(context, stored):
            raise port.ImageNotFound(f"image {image_id} does not exist")
        return stored.image

    def update(self, context: port.Context, image_id: str, changes: port.Changes) -> port.Image:
        """Change custom properties in one step, so that no writer undoes another's work."""

        def change(stored: StoredImage) -> StoredImage:
            _require_owner(context, stored)
            image = cast("dict[str, Any]", stored.image)
            for key in (*changes.replace, *changes.remove):
                if key not in image:
                    raise port.ImageConflict(f"Property {key} does not exist.")
            written = {**changes.add, **changes.replace}
            require_storable(written)
            kept = {key: value for key, value in image.items() if key not in set(changes.remove)}
            changed = kept | written
            changed["updated_at"] = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
            return stored._replace(image=cast("port.Image", changed))

        return self.store.change(image_id, change).image

    def delete(self, context: port.Context, image_id: str) -> None:
        """Delete an image that is not protected."""

        def check(stored: StoredImage) -> None:
            _require_owner(context, stored)
            if stored.image.get("protected"):
                raise port.ImageNotAuthorized(
                    f"Image {image_id} is protected and cannot be deleted."
                )

        self.store.remove(image_id, check)


def _require_owner(context: port.Context, stored: StoredImage) -> None:
    image = stored.image
    if not is_visible(context, stored):
        raise port.ImageNotFound(f"image {image['id']} does not exist")
    if not may(context, "modify_image", stored):
        raise port.ImageNotAuthorized("You are not permitted to modify this image.")


def require_storable(values: Mapping[str, Any]) -> None:
    """Refuse characters beyond the basic plane, as Glance does for the sake of its database.

    Source: glance, glance/common/utils.py, no_4byte_params.

    Raises:
        ImageBadRequest: a key, a value or a tag has one.
    """
    for key, value in values.items():
        if max(key, default="") > "\uffff":
            raise port.ImageBadRequest("Property names can't contain 4 byte unicode.")
        if isinstance(value, str) and max(value, default="") > "\uffff":
            raise port.ImageBadRequest(f"{key.title()} can't contain 4 byte unicode characters.")
        if key == "tags" and any(max(tag, default="") > "\uffff" for tag in value):
            raise port.ImageBadRequest("Param values can't contain 4 byte unicode.")
