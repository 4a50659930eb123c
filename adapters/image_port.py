"""The port: what the service needs of an image store, in Glance's terms.

Everything above asks an `ImageService`; everything below keeps these promises.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from keystoneauth1.plugin import BaseAuthPlugin


class Image(TypedDict, total=False):
    """A Glance v2 image as Glance sent it; every key not named here is a custom property.

    `size` in bytes, `min_ram` in MB, `min_disk` in GB, times in UTC as ISO 8601. A list holds
    thousands, so no object is built per image and nobody changes one in place.

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
    """One page of a list; `next_marker` is None where the store says that it was the last."""

    images: list[Image]
    next_marker: str | None


class Call(NamedTuple):
    """One call made to the store, for the log and the metrics.

    Args:
        operation: `list`, `get`, `update` or `delete`.
        status: the answer's HTTP status, 0 where none came.
        seconds: how long it took, answer read.
        request_id: the store's own id of it, empty where it gave none.
    """

    operation: str
    status: int
    seconds: float
    request_id: str


class Slot(Protocol):
    """A request's right to call the store; held from the first `acquire` to the request's end."""

    def acquire(self) -> None:
        """Acquire the right, unless it is held already."""


@dataclass(frozen=True, slots=True)
class Context:
    """On whose behalf the store is asked.

    Args:
        project_id: the caller's project, which decides what is visible.
        request_id: `req-` and a UUID, told to the store for its log.
        auth: the caller's keystoneauth plugin: token and catalog. None where no Keystone is.
        deadline: on `time.monotonic()`'s clock; past it the store is no longer waited for.
        calls: one entry for each call made to the store, appended by the adapter.
        roles: the caller's roles in the project; `admin` may see and change what others may not.
        endpoint: the store's address where it is known already, from `ImageService.endpoint`.
        slot: acquired by the store before each call, if there is one.
    """

    project_id: str
    request_id: str
    auth: BaseAuthPlugin | None = None
    deadline: float = math.inf
    calls: list[Call] = field(default_factory=list)
    roles: frozenset[str] = frozenset()
    endpoint: str | None = None
    slot: Slot | None = None


class ImageServiceError(Exception):
    """The base of all that the port raises; `str()` of it is for the log.

    Args:
        text: the store's own explanation, or the reason why there is none.
        retry_after: the store's `Retry-After` header, if it sent one.
    """

    def __init__(self, text: str = "", *, retry_after: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.retry_after = retry_after


class ImageBadRequest(ImageServiceError):
    """The store could not make sense of the request."""


class MarkerNotFound(ImageBadRequest):
    """No image that the caller may see has the id given as marker."""

    def __init__(self, marker: str) -> None:
        super().__init__(f"No image found with ID {marker}")


class ImageNotAuthenticated(ImageServiceError):
    """The store no longer takes the caller's token."""


class ImageNotAuthorized(ImageServiceError):
    """The caller may see the image but not do this to it."""


class ImageNotFound(ImageServiceError):
    """No image that the caller may see has this id."""


class ImageConflict(ImageServiceError):
    """The image's present state does not allow it."""


class ImageQuotaExceeded(ImageServiceError):
    """The store holds no more of this."""


class ImageServiceBusy(ImageServiceError):
    """The store limits the rate of requests and this one was too many."""


class ImageServiceUnavailable(ImageServiceError):
    """The store did not answer, not in time, or nothing that can be understood."""


class ImageServiceFailed(ImageServiceError):
    """The store answered with an error of its own making."""


class ImageService(ABC):
    """An image store. Any method may raise any `ImageServiceError`; named are the usual ones."""

    @abstractmethod
    def endpoint(self, context: Context) -> str | None:
        """Return the store's address without version and final slash, None if it has none."""

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
        """Return one page of the images in the caller's list that match.

        Listed are public images, the caller's own, and those shared with it and accepted; never
        hidden, killed or deleted ones.

        Args:
            context: who asks.
            query: filters as Glance v2 query parameters. `name` and `status` may begin with
                `eq:` or `in:` (a comma list), `updated_at` begins with `gte:`, `min_ram` and
                `min_disk` are numbers to equal, any other key is a custom property to equal.
            limit: the most images wanted, at least 1; the store may give fewer.
            marker: the id of the image after which the page begins, in the order asked for.
            oldest_first: the order is by `created_at`, then `id`, newest first unless this is
                true.

        Raises:
            MarkerNotFound: no visible image has the marker's id.
        """

    @abstractmethod
    def get(self, context: Context, image_id: str) -> Image:
        """Return one image; hidden and community images, too.

        Raises:
            ImageNotFound: there is none, or the caller may not see it.
        """

    @abstractmethod
    def update(
        self,
        context: Context,
        image_id: str,
        *,
        add: Mapping[str, str],
        replace: Mapping[str, str],
        remove: Collection[str],
    ) -> Image:
        """Change custom properties, all of them or none, and return the image as it is then.

        Args:
            context: who asks.
            image_id: which image.
            add: properties to set, whether they are there or not.
            replace: properties to set that must be there.
            remove: properties to take away that must be there.

        Raises:
            ImageNotFound: there is none, or the caller may not see it.
            ImageNotAuthorized: the caller may see it but does not own it.
            ImageConflict: a property to replace or remove is not there.
        """

    @abstractmethod
    def delete(self, context: Context, image_id: str) -> None:
        """Delete an image.

        Raises:
            ImageNotFound: there is none, or the caller may not see it.
            ImageNotAuthorized: it is protected, or the caller does not own it.
            ImageConflict: it is in use.
        """
