"""The port: the interface of an image store, in Glance's terms.

The service calls an `ImageService` and knows no implementation. `ImageServiceContract` in the tests
is what each implementation must pass.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypedDict

from keystoneauth1.plugin import BaseAuthPlugin


class Image(TypedDict, total=False):
    """A Glance v2 image as Glance sent it; keys not listed here are custom properties.

    `size` is in bytes, `min_ram` in MB and `min_disk` in GB; times are ISO 8601 in UTC. A list
    has thousands of images, so they stay dictionaries; never modify one in place.

    Source: glance, glance/api/v2/images.py, get_base_properties.
    """

    id: str
    name: str | None
    status: str
    visibility: str
    protected: bool
    os_hidden: bool
    owner: str | None
    size: int | None
    min_ram: int | None
    min_disk: int | None
    created_at: str | None
    updated_at: str | None


class Page(NamedTuple):
    """One page of a list; `next_marker` is None on the last page."""

    images: list[Image]
    next_marker: str | None


class Call(NamedTuple):
    """One call to the store, for the log and the metrics."""

    operation: str  # `list`, `get`, `update` or `delete`
    status: int  # of the response; 0 if there was none
    seconds: float  # including reading the response
    request_id: str  # the store's; empty if it returned none


class Slot(Protocol):
    """A request's right to call the store; held from the first `acquire` to the request's end."""

    def acquire(self) -> None:
        """Acquire the right, unless it is held already."""


class Share(Protocol):
    """A list's share of the room for lists."""

    def take(self, count: int) -> None:
        """Count bytes that were read, 0 for a list that begins, and wait for room for them."""

    def hold(self, size: int) -> None:
        """Wait for room for a list that another request has read."""


@dataclass(frozen=True, slots=True)
class Context:
    """The caller and the limits of calls to the store."""

    project_id: str  # determines the visible images
    request_id: str  # `req-` and a UUID, sent to the store for its log
    auth: BaseAuthPlugin | None = None  # token and catalog; None without Keystone
    deadline: float = math.inf  # the `time.monotonic()` at which calls are abandoned
    calls: list[Call] = field(default_factory=list)  # the adapter appends to it
    roles: frozenset[str] = frozenset()  # `admin` may see and change all images
    endpoint: str | None = None  # from `ImageService.endpoint`, if it is known already
    slot: Slot | None = None  # acquired by the store before each call
    share: Share | None = None  # counts the bytes of lists


@dataclass(frozen=True, slots=True)
class Changes:
    """Custom properties to change; those of `replace` and `remove` must exist."""

    add: Mapping[str, str] = field(default_factory=dict)
    replace: Mapping[str, str] = field(default_factory=dict)
    remove: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.replace or self.remove)


class ImageServiceError(Exception):
    """The base class of the port's errors; `str()` of one is for the log.

    `text` is the store's explanation, or the reason why there is none; `retry_after` is the
    store's header, if it sent one.
    """

    def __init__(self, text: str = "", *, retry_after: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.retry_after = retry_after


class ImageBadRequest(ImageServiceError):
    """The store rejected the request as invalid."""


class MarkerNotFound(ImageBadRequest):
    """The caller can see no image with the marker's id."""

    def __init__(self, marker: str) -> None:
        super().__init__(f"No image found with ID {marker}")


class ImageNotAuthenticated(ImageServiceError):
    """The store rejected the caller's token."""


class ImageNotAuthorized(ImageServiceError):
    """The caller can see the image but may not change it."""


class ImageNotFound(ImageServiceError):
    """The caller can see no image with this id."""


class ImageConflict(ImageServiceError):
    """The image's current state does not allow the change."""


class ImageQuotaExceeded(ImageServiceError):
    """The change exceeds a quota of the store."""


class ImageServiceBusy(ImageServiceError):
    """The request exceeds the store's rate limit."""


class ImageServiceUnavailable(ImageServiceError):
    """The store did not answer in time, or its response is invalid."""


class ImageServiceFailed(ImageServiceError):
    """The store answered with a server error."""


class ImageService(ABC):
    """An image store; methods may raise any `ImageServiceError` and document the usual ones."""

    @abstractmethod
    def endpoint(self, auth: BaseAuthPlugin | None) -> str | None:
        """Return the store's URL for a caller, without version and trailing slash, or None."""

    @abstractmethod
    def list_page(
        self,
        context: Context,
        query: Mapping[str, str],
        *,
        limit: int,
        marker: str | None = None,
        oldest_first: bool = False,
    ) -> Page:
        """Return one page of the matching images in the caller's list.

        The list has public images, the project's own, and shared images that it has accepted; it
        has no hidden, killed or deleted images.

        Args:
            context: the caller.
            query: filters as Glance v2 query parameters. `name` and `status` may start with
                `eq:` or `in:` (comma-separated), and `updated_at` starts with `gte:`. `min_ram`,
                `min_disk` and custom properties (any other key) match equal values.
            limit: the maximum number of images, at least 1; the store may return fewer.
            marker: the id of the last image of the previous page.
            oldest_first: sort by `created_at`, then `id`, ascending instead of descending.

        Raises:
            MarkerNotFound: the caller can see no image with the marker's id.
        """

    @abstractmethod
    def get(self, context: Context, image_id: str) -> Image:
        """Return one image, which may also be a hidden or a community image.

        Raises:
            ImageNotFound: the caller can see no image with this id.
        """

    @abstractmethod
    def update(self, context: Context, image_id: str, changes: Changes) -> Image:
        """Change custom properties in one atomic step and return the changed image.

        Raises:
            ImageNotFound: the caller can see no image with this id.
            ImageNotAuthorized: the caller does not own the image.
            ImageConflict: a property to replace or remove does not exist.
        """

    @abstractmethod
    def delete(self, context: Context, image_id: str) -> None:
        """Delete an image.

        Raises:
            ImageNotFound: the caller can see no image with this id.
            ImageNotAuthorized: the image is protected, or the caller does not own it.
            ImageConflict: the image is in use.
        """
