"""The embedded cloud: its state, and what a test can do to it."""

import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from flask import current_app

from nova_image_shim.adapters.memory.data import ImageData, ImageFiles
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.control.journal import Journal
from nova_image_shim.fakecloud.control.rules import Rules
from nova_image_shim.fakecloud.document import ImageFileError
from nova_image_shim.fakecloud.identity.identity import Identity
from nova_image_shim.fakecloud.image_file import complete, complete_images
from nova_image_shim.fakecloud.seed import Seed
from nova_image_shim.web.errors import HTTPError

MAX_IMAGES = 100_000
_MARGIN = timedelta(days=366)  # a token issued at the end of time must be able to expire
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_ALWAYS_PRESENT = complete({"id": "any"}).keys()


class Clock:
    """The time for token expiry and `updated`, in UTC; a test can move it forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the cloud's time, in UTC."""
        return datetime.now(UTC) + self._ahead

    @property
    def ahead_seconds(self) -> float:
        """Return how far the clock is ahead of the machine's."""
        return self._ahead.total_seconds()

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            HTTPError: 400; it would go backward, or beyond the year 9999.
        """
        if not seconds >= 0:
            raise HTTPError(400, "the clock only goes forward: seconds must be at least 0")
        with self._lock:
            try:
                ahead = self._ahead + timedelta(seconds=seconds)
                datetime.now(UTC) + ahead + _MARGIN
            except OverflowError as error:
                raise HTTPError(400, "the clock would go beyond the year 9999") from error
            self._ahead = ahead

    def reset(self) -> None:
        """Return to the machine's time."""
        with self._lock:
            self._ahead = timedelta()


class FakeCloud:
    """One cloud in memory, safe to use from several threads.

    Methods that cannot do what they are asked to raise an `HTTPError` whose text says why.

    Args:
        seed: what the cloud begins with, and what a reset restores.
        max_image_bytes: the most data that one image may have.
    """

    def __init__(self, seed: Seed, max_image_bytes: int = 2**30) -> None:
        self.seed = seed
        self.files = ImageFiles(max_image_bytes)
        self.clock = Clock()
        self.image_service = MemoryImageService(seed.images, now=self.clock.now)
        self.identity = Identity(seed, now=self.clock.now)
        self.journal = Journal(self.clock.now)
        self.fault_rules = Rules()
        self._store = store = self.image_service.store
        self._lock = threading.Lock()
        # What the parts can do under the names that a test knows.
        self.images, self.delete_image = store.all, store.remove
        self.requests, self.clear_requests = self.journal.entries, self.journal.clear
        self.rules, self.rule = self.fault_rules.all, self.fault_rules.get
        self.delete_rule, self.clear_rules = self.fault_rules.remove, self.fault_rules.clear
        self.advance_clock, self.reset_clock = self.clock.advance, self.clock.reset
        self.forget_tokens = self.identity.reset

    def reset(self) -> None:
        """Restore the seed: its images, the fixed tokens, the real time, no rule, no request."""
        self.clock.reset()
        self._store.load(self.seed.images)
        self.identity.reset()
        self.fault_rules.clear()
        self.journal.clear()

    def image(self, image_id: str) -> dict[str, Any]:
        """Return one of `images()`."""
        return self._store.get(image_id).to_dict()

    def image_data(self, image_id: str) -> bytes:
        """Return an image's data, empty if it has none."""
        with (self._store.get(image_id).data or ImageData()).open() as file:
            return file.read()

    def load_images(self, images: Any) -> None:
        """Replace all images by a list as a seed file holds it."""
        self._store.load(_checked(images))

    def add_image(self, image: Any = _EMPTY, /, **attributes: Any) -> dict[str, Any]:
        """Add an image, described by an object, by keywords or both, and return it complete.

        What is left out is as in a seed file, but `id` is new and the times are the cloud's.
        """
        given = _merged(image, attributes)
        if isinstance(given, dict):
            given = {"id": str(uuid.uuid4()), "created_at": self.now(), **given}
        added = _checked([given])[0]
        with self._lock:
            if added["id"] in self._store.images:
                raise HTTPError(
                    409, f"image {added['id']} already exists: change it, or delete it first"
                )
            self._store.put(added)
        return added

    def change_image(
        self, image_id: str, changes: Any = _EMPTY, /, **attributes: Any
    ) -> dict[str, Any]:
        """Change an image, by an object, by keywords or both, and return it.

        None removes a property. `updated_at` becomes the cloud's time unless it is given. None of
        the API's own rules apply.
        """
        given = _merged(changes, attributes)
        if not isinstance(given, dict):
            raise HTTPError(400, "the changes must be a JSON object")
        if given.get("id", image_id) != image_id:
            raise HTTPError(400, "id: cannot be changed")

        def change(stored: StoredImage) -> StoredImage:
            changed = {**stored.to_dict(), "updated_at": self.now(), **given}
            removed = {key for key in given if given[key] is None and key not in _ALWAYS_PRESENT}
            kept = {key: changed[key] for key in changed if key not in removed}
            return StoredImage.from_dict(_checked([kept])[0], stored)

        return self._store.change(image_id, change).to_dict()

    def add_rule(self, rule: Any = _EMPTY, /, **fields: Any) -> dict[str, Any]:
        """Add a fault rule, given as an object, by keywords or both; return it with its `id`."""
        return self.fault_rules.add(_merged(rule, fields))

    @property
    def token_seconds(self) -> float:
        """Return how long new tokens last."""
        return self.identity.token_seconds

    def set_token_seconds(self, seconds: float) -> None:
        """Set how long new tokens last; existing tokens keep their end."""
        self.identity.token_seconds = seconds

    def now(self) -> str:
        """Return the cloud's time: UTC, ISO 8601, whole seconds."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def ahead_seconds(self) -> float:
        """Return how far the cloud's clock is ahead of the machine's."""
        return self.clock.ahead_seconds


def current_cloud() -> FakeCloud:
    """Return the running application's cloud."""
    found: FakeCloud = current_app.extensions["fake_cloud"]
    return found


def _merged(value: Any, fields: Mapping[str, Any]) -> Any:
    return {**value, **fields} if isinstance(value, Mapping) else value


def _checked(images: Any) -> list[dict[str, Any]]:
    if not isinstance(images, list) or len(images) > MAX_IMAGES:
        raise HTTPError(400, f"must be a list of at most {MAX_IMAGES} images")
    try:
        return complete_images(images)
    except ImageFileError as error:
        raise HTTPError(400, str(error)) from error
