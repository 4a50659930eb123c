"""What a test can do to the embedded cloud: images, journal, rules, clock. Knows no HTTP."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

from nova_image_shim.adapters.image_port import ImageNotFound
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.control.journal import MOST_REQUESTS, Journal
from nova_image_shim.fakecloud.control.refusals import AlreadyThere, NothingThere, Refused
from nova_image_shim.fakecloud.control.rules import Rules
from nova_image_shim.fakecloud.image_file import check_images, complete
from nova_image_shim.fakecloud.items import ImageFileError

if TYPE_CHECKING:
    from nova_image_shim.fakecloud.cloud import FakeCloud

MOST_IMAGES = 100_000


class ControlPlane:
    """The whole of it, one method for each call; the HTTP face and the pytest fixture add none.

    Args:
        cloud: what is controlled.
    """

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self.journal = Journal(cloud.clock.now)
        self.rules_in_force = Rules()

    def reset(self) -> None:
        """Go back to the seed: images, tokens, the machine's time, no rule, an empty journal."""
        self._cloud.reset()
        self.rules_in_force.clear()
        self.journal.clear()

    def images(self) -> list[dict[str, Any]]:
        """Return every image whole, whoever may see it, `members` included."""
        return self._cloud.images.store.all()

    def image(self, image_id: str) -> dict[str, Any]:
        """Return one of `images()`.

        Raises:
            NothingThere: there is none of this id.
        """
        for image in self.images():
            if image["id"] == image_id:
                return image
        raise NothingThere(f"there is no image {image_id}")

    def load_images(self, images: Any) -> None:
        """Forget all images and keep these: a list as a seed file holds it.

        Raises:
            Refused: it is none; the text names the image.
        """
        self._cloud.images.store.load(_checked(images))

    def add_image(self, image: Any, /) -> dict[str, Any]:
        """Keep one more image and return it complete.

        Args:
            image: any attribute and property of a Glance v2 image, and `members`. What is left
                out is as in a seed file, but that `id` is made up and the times are the cloud's.

        Raises:
            Refused: it is none; the text names the field.
            AlreadyThere: an image of this id is kept.
        """
        given = image if isinstance(image, dict) else {}
        usual = {"id": str(uuid.uuid4()), "created_at": self.now()}
        added = _checked([usual | given if given or image == {} else image])[0]
        with self._lock:
            if any(added["id"] == kept["id"] for kept in self.images()):
                raise AlreadyThere(f"image {added['id']} is there: change it, or delete it first")
            self._cloud.images.store.put(added)
        return added

    def change_image(self, image_id: str, changes: Any, /) -> dict[str, Any]:
        """Change an image past all rules of the API and return it.

        Args:
            image_id: which image.
            changes: attributes, properties and `members` by name; null takes a property away.
                `updated_at` becomes the cloud's time unless it is given.

        Raises:
            Refused: the image would be none; the text names the field.
            NothingThere: there is no such image.
        """
        if not isinstance(changes, dict):
            raise Refused("a JSON object of changes is wanted")
        if changes.get("id", image_id) != image_id:
            raise Refused("id: an image keeps its id")

        def change(stored: StoredImage) -> StoredImage:
            changed = {**stored.to_dict(), "updated_at": self.now(), **changes}
            removed = {key for key in changes if changes[key] is None and key not in _USUAL}
            kept = {key: changed[key] for key in changed if key not in removed}
            return StoredImage.from_dict(_checked([kept])[0])

        try:
            return self._cloud.images.store.change(image_id, change).to_dict()
        except ImageNotFound as error:
            raise NothingThere(f"there is no image {image_id}") from error

    def delete_image(self, image_id: str) -> None:
        """Forget an image, protected or not.

        Raises:
            NothingThere: there is none of this id.
        """
        try:
            self._cloud.images.store.remove(image_id)
        except ImageNotFound as error:
            raise NothingThere(f"there is no image {image_id}") from error

    def requests(self, after: int = 0, limit: int = MOST_REQUESTS) -> list[dict[str, Any]]:
        """Return the requests seen, as `Journal.entries` does."""
        return self.journal.entries(after, limit)

    def clear_requests(self) -> None:
        """Empty the journal."""
        self.journal.clear()

    def rules(self) -> list[dict[str, Any]]:
        """Return the fault rules, each with its `id` and `hits`."""
        return self.rules_in_force.shown()

    def rule(self, number: int) -> dict[str, Any]:
        """Return one of `rules()`.

        Raises:
            NothingThere: there is none of this id.
        """
        for rule in self.rules():
            if rule["id"] == number:
                return rule
        raise NothingThere(f"there is no rule {number}")

    def add_rule(self, rule: Any, /) -> dict[str, Any]:
        """Add a fault rule and return it with its `id`.

        Raises:
            Refused: it is none; the text names every field that is wrong.
        """
        return self.rules_in_force.add(rule)

    def delete_rule(self, number: int) -> None:
        """Take a rule away.

        Raises:
            NothingThere: there is none of this id.
        """
        try:
            self.rules_in_force.remove(number)
        except KeyError as error:
            raise NothingThere(f"there is no rule {number}") from error

    def clear_rules(self) -> None:
        """Take all rules away."""
        self.rules_in_force.clear()

    @property
    def token_seconds(self) -> float:
        """Return how long new tokens last."""
        return self._cloud.identity.token_seconds

    def set_token_seconds(self, seconds: float) -> None:
        """Let new tokens last so long; the old ones end when they were to end."""
        self._cloud.identity.token_seconds = seconds

    def forget_tokens(self) -> None:
        """Make every token bad but the fixed ones, and let new ones last as the seed says."""
        self._cloud.identity.reset()

    def now(self) -> str:
        """Return the cloud's time: UTC, ISO 8601, whole seconds."""
        return self._cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def ahead_seconds(self) -> float:
        """Return by how much the cloud's clock is ahead of the machine's."""
        return self._cloud.clock.ahead_seconds

    def advance_clock(self, seconds: float) -> None:
        """Move the clock forward: tokens expire, `updated` of what changes from now on is later.

        Raises:
            Refused: backward, or beyond the year 9999.
        """
        try:
            self._cloud.clock.advance(seconds)
        except ValueError as error:
            raise Refused(str(error)) from error

    def reset_clock(self) -> None:
        """Go back to the machine's time."""
        self._cloud.clock.reset()


_USUAL = complete({"id": "any"}).keys()


def _checked(images: Any) -> list[dict[str, Any]]:
    """Return images complete.

    Raises:
        Refused: they are none.
    """
    if not isinstance(images, list) or len(images) > MOST_IMAGES:
        raise Refused(f"a list of at most {MOST_IMAGES} images is wanted")
    try:
        check_images(images)
    except ImageFileError as error:
        raise Refused(str(error)) from error
    return [complete(image) for image in images]
