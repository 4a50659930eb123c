"""An image store in this process's memory that keeps Glance's promises; it is lost at the end.

For trying the service without a cloud and for tests against it: per-project visibility, order,
markers, filters and refusals are Glance's.
"""

from __future__ import annotations

import csv
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import iso8601

from nova_image_shim.adapters import image_port as port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

_GONE = {"deleted", "pending_delete"}
_UNLISTED = {*_GONE, "killed"}
_MAX_PAGE = 1000  # Glance's api_limit_max


def _now() -> datetime:
    return datetime.now(UTC)


class _Kept(NamedTuple):
    """An image and with whom it is shared, replaced together."""

    image: port.Image
    members: Mapping[str, str]


class MemoryImageService(port.ImageService):
    """The port's promises, kept by a dictionary.

    Args:
        images: as `load` takes them.
        now: the time that changed images get, in UTC.
    """

    def __init__(
        self, images: Iterable[Mapping[str, Any]] = (), now: Callable[[], datetime] = _now
    ) -> None:
        self._lock = threading.Lock()
        self._now = now
        # Never changed in place: lists in other threads go on over the one they began with.
        self._kept: dict[str, _Kept] = {}
        self.load(images)

    def load(self, images: Iterable[Mapping[str, Any]]) -> None:
        """Forget all images and keep these.

        Args:
            images: Glance v2 images as `image_file.load_images` gives them: complete, and with
                the store's own key `members`, project ids to `pending`, `accepted` or `rejected`.
        """
        kept = {image["id"]: _to_kept(image) for image in images}
        with self._lock:
            self._kept = kept

    def put(self, image: Mapping[str, Any]) -> None:
        """Keep one more image, or this one instead of that with its id; any status, any owner."""
        with self._lock:
            self._kept = {**self._kept, image["id"]: _to_kept(image)}

    def change(
        self, image_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Keep what a function makes of an image, no other writer in between, and return it.

        Args:
            image_id: which image.
            change: takes an image in the form of `load` and returns another; what it raises is
                passed on.

        Raises:
            ImageNotFound: there is none of this id.
        """
        with self._lock:
            if image_id not in self._kept:
                raise port.ImageNotFound(f"no image {image_id}")
            kept = _to_kept(change(_from_kept(self._kept[image_id])))
            self._kept = {**self._kept, image_id: kept}
            return _from_kept(kept)

    def remove(self, image_id: str) -> None:
        """Forget an image, whoever owns it, protected or not.

        Raises:
            ImageNotFound: there is none of this id.
        """
        with self._lock:
            if image_id not in self._kept:
                raise port.ImageNotFound(f"no image {image_id}")
            self._kept = {key: kept for key, kept in self._kept.items() if key != image_id}

    def all(self) -> list[dict[str, Any]]:
        """Return every image in the form that `load` takes, in the order in which they came."""
        return [_from_kept(kept) for kept in self._kept.values()]

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
            for image, members in self._kept.values()
            if _is_listed(context, image, members)
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
        return self._visible(context, image_id).image

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
            image, members = self._owned(context, image_id)
            for key in (*replace, *remove):
                if key not in image:
                    raise port.ImageConflict(f"Property {key} does not exist.")
            _require_storable({**add, **replace})
            changed = {key: value for key, value in image.items() if key not in set(remove)}
            changed |= {**add, **replace}
            changed["updated_at"] = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
            kept = _Kept(cast("port.Image", changed), members)
            self._kept = {**self._kept, image_id: kept}
            return kept.image

    def delete(self, context: port.Context, image_id: str) -> None:
        """Forget an image."""
        with self._lock:
            if self._owned(context, image_id).image.get("protected"):
                raise port.ImageNotAuthorized(
                    f"Image {image_id} is protected and cannot be deleted."
                )
            self._kept = {key: kept for key, kept in self._kept.items() if key != image_id}

    def _visible(self, context: port.Context, image_id: str) -> _Kept:
        kept = self._kept.get(image_id)
        if kept is None or kept.image["status"] in _GONE or not _is_visible(context, *kept):
            raise port.ImageNotFound(f"no image {image_id}")
        return kept

    def _owned(self, context: port.Context, image_id: str) -> _Kept:
        kept = self._visible(context, image_id)
        if not (_is_admin(context) or kept.image["owner"] == context.project_id):
            raise port.ImageNotAuthorized("You are not permitted to modify this image.")
        return kept

    def _position(self, context: port.Context, marker: str) -> tuple[str, str]:
        try:
            return _position(self.get(context, marker))
        except port.ImageNotFound as error:
            raise port.MarkerNotFound(marker) from error


def _to_kept(image: Mapping[str, Any]) -> _Kept:
    bare = {key: value for key, value in image.items() if key != "members"}
    return _Kept(cast("port.Image", bare), dict(image.get("members", {})))


def _from_kept(kept: _Kept) -> dict[str, Any]:
    return {**cast("dict[str, Any]", kept.image), "members": dict(kept.members)}


def _is_admin(context: port.Context) -> bool:
    return "admin" in context.roles


def _is_visible(context: port.Context, image: port.Image, members: Mapping[str, str]) -> bool:
    """Tell whether an image can be had by its id; a membership of any state is enough."""
    shared = image["visibility"] == "shared"
    return (
        image["visibility"] in {"public", "community"}
        or image["owner"] == context.project_id
        or (shared and context.project_id in members)
        or _is_admin(context)
    )


def _is_listed(context: port.Context, image: port.Image, members: Mapping[str, str]) -> bool:
    """Tell whether an image is in the caller's list; an admin's lacks others' community images."""
    if image["os_hidden"] or image["status"] in _UNLISTED:
        return False
    if image["visibility"] == "public" or image["owner"] == context.project_id:
        return True
    if image["visibility"] == "community":
        return False
    accepted = members.get(context.project_id) == "accepted"
    return _is_admin(context) or (image["visibility"] == "shared" and accepted)


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
