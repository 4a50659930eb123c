"""An image store in this process's memory that keeps Glance's promises; it is lost at the end.

For trying the service without a cloud and for tests against it: per-project visibility, order,
markers, filters and refusals are Glance's.
"""

from __future__ import annotations

import csv
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import iso8601

from nova_image_shim.adapters import port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

_GONE = {"deleted", "pending_delete"}
_UNLISTED = {*_GONE, "killed"}
_MAX_PAGE = 1000  # Glance's api_limit_max


class MemoryImageService(port.ImageService):
    """The port's promises, kept by a dictionary.

    Args:
        images: Glance v2 images as `image_file.load_images` gives them: complete, and with the
            store's own key `members`, project ids to `pending`, `accepted` or `rejected`.
    """

    def __init__(self, images: Iterable[Mapping[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        self._members: dict[str, dict[str, str]] = {}
        self._images: dict[str, port.Image] = {}
        for image in images:
            self._members[image["id"]] = dict(image.get("members", {}))
            kept = {key: value for key, value in image.items() if key != "members"}
            self._images[image["id"]] = cast("port.Image", kept)

    def endpoint(self, context: port.Context) -> None:  # noqa: ARG002
        """Return None: there is no Glance."""
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
        """Return a page, at most 1000 images of it, as Glance does."""
        tests = [_test(name, value) for name, value in query.items()]
        after = self._position(context, marker) if marker else None
        matching = [
            image
            for image in self._images.values()
            if self._is_listed(context, image)
            and (after is None or (_position(image) > after) == oldest_first)
            and _position(image) != after
            and all(test(image) for test in tests)
        ]
        matching.sort(key=_position, reverse=not oldest_first)
        size = min(limit, _MAX_PAGE)
        images = matching[:size]
        return port.Page(images, images[-1]["id"] if len(images) == size else None)

    def get(self, context: port.Context, image_id: str) -> port.Image:
        """Return an image if the caller may see it."""
        image = self._images.get(image_id)
        if image is None or image["status"] in _GONE or not self._is_visible(context, image):
            raise port.ImageNotFound(f"no image {image_id}")
        return image

    def update(
        self,
        context: port.Context,
        image_id: str,
        *,
        add: Mapping[str, str],
        replace: Mapping[str, str],
        remove: Collection[str],
    ) -> port.Image:
        """Change custom properties under the lock, so that no writer undoes another's work."""
        with self._lock:
            image = self._owned(context, image_id)
            for key in (*replace, *remove):
                if key not in image:
                    raise port.ImageConflict(f"Property {key} does not exist.")
            _require_storable({**add, **replace})
            changed = {key: value for key, value in image.items() if key not in set(remove)}
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            changed |= {**add, **replace, "updated_at": now}
            self._images[image_id] = cast("port.Image", changed)
            return self._images[image_id]

    def delete(self, context: port.Context, image_id: str) -> None:
        """Forget an image."""
        with self._lock:
            if self._owned(context, image_id).get("protected"):
                raise port.ImageNotAuthorized(
                    f"Image {image_id} is protected and cannot be deleted."
                )
            images = dict(self._images)  # lists in other threads go on over the old one
            del images[image_id]
            self._images = images

    def _owned(self, context: port.Context, image_id: str) -> port.Image:
        image = self.get(context, image_id)
        if image["owner"] != context.project_id:
            raise port.ImageNotAuthorized("You are not permitted to modify this image.")
        return image

    def _position(self, context: port.Context, marker: str) -> tuple[str, str]:
        try:
            return _position(self.get(context, marker))
        except port.ImageNotFound as error:
            raise port.MarkerNotFound(marker) from error

    def _is_visible(self, context: port.Context, image: port.Image) -> bool:
        """Tell whether an image can be had by its id; a membership of any state is enough."""
        shared = image["visibility"] == "shared"
        return (
            image["visibility"] in {"public", "community"}
            or image["owner"] == context.project_id
            or (shared and context.project_id in self._members[image["id"]])
        )

    def _is_listed(self, context: port.Context, image: port.Image) -> bool:
        """Tell whether an image is in the caller's list."""
        if image["os_hidden"] or image["status"] in _UNLISTED:
            return False
        if image["visibility"] == "public" or image["owner"] == context.project_id:
            return True
        membership = self._members[image["id"]].get(context.project_id)
        return image["visibility"] == "shared" and membership == "accepted"


def _require_storable(properties: Mapping[str, str]) -> None:
    """Refuse characters beyond the basic plane, as Glance does for the sake of its database.

    Source: glance, glance/common/utils.py, no_4byte_params.

    Raises:
        ImageBadRequest: a key or a value has one.
    """
    for key, value in properties.items():
        if max(key, default="") > "\uffff":
            raise port.ImageBadRequest("Property names can't contain 4 byte unicode.")
        if max(value, default="") > "\uffff":
            raise port.ImageBadRequest(f"{key.title()} can't contain 4 byte unicode characters.")


def _position(image: port.Image) -> tuple[str, str]:
    """Return what Glance orders by; times are all of one form, so text compares as time does."""
    return (image["created_at"] or "", image["id"])


def _test(name: str, value: str) -> Callable[[port.Image], bool]:
    """Return the check that a filter makes."""
    if name in {"min_ram", "min_disk"}:
        return lambda image: cast("dict[str, Any]", image)[name] == int(value)
    if name == "updated_at":
        since = iso8601.parse_date(value.removeprefix("gte:")).astimezone(UTC)
        return lambda image: iso8601.parse_date(image["updated_at"] or "0001") >= since
    if name in {"name", "status"}:
        wanted = _wanted(value)
        return lambda image: cast("dict[str, Any]", image)[name] in wanted
    return lambda image: cast("dict[str, Any]", image).get(name) == value


def _wanted(value: str) -> list[str]:
    """Return the values that a text with or without operator admits."""
    operator, colon, operand = value.partition(":")
    if colon and operator == "in":
        return next(csv.reader([operand]))
    return [operand if colon and operator == "eq" else value]
