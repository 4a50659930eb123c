"""Lists of images: fetched from the store, shared by concurrent requests, or cached.

Old clients request the same list again and again. Concurrent requests of one caller share a fetch
that began after all of them. Lists are cached in this process only, and never those that failed. A
write by a project changes its write marker, which is part of every key, so that no process that
shares the markers answers with an older list.
"""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from cachetools import TLRUCache

from nova_image_shim.adapters.image_port import (
    Context,
    ImageNotAuthenticated,
    ImageService,
    ImageServiceError,
    ImageServiceUnavailable,
)
from nova_image_shim.adapters.limits.limiter import LimitExceeded
from nova_image_shim.adapters.limits.single_flight import SingleFlight
from nova_image_shim.adapters.stores.process import ProcessStore, Store
from nova_image_shim.lists.listing import Listing, StoredList
from nova_image_shim.lists.markers import WriteMarkers
from nova_image_shim.lists.query import ListRequest

_MAX_BYTES = 2**26
# Each fetches a page while a request's own thread translates the one before; without a free one,
# the request fetches the page itself.
_PAGE_THREADS = 3


@dataclass(frozen=True, slots=True)
class FoundList:
    """A list as one request gets it."""

    stored: StoredList
    source: str  # `fetched`, `shared` with another request, or `cached`
    key: Hashable = None  # in the cache
    age: int | None = None  # in seconds; None if it is newer than the request


class Lists:
    """The lists of one process.

    Args:
        images: the image store.
        shared_fetches: how many fetches of one list run at a time; 0 turns sharing off. With the
            cache, it is one.
        cache_seconds: how long a list is used again; 0 turns the cache off.
        markers: where write markers are; shared by all processes whose writes should be seen.
        waiting: entered while a request waits for another's fetch; bounds how many do.
        clock: returns seconds.
    """

    def __init__(
        self,
        images: ImageService,
        *,
        shared_fetches: int = 0,
        cache_seconds: int = 0,
        markers: Store | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._images = images
        self._executor = ThreadPoolExecutor(_PAGE_THREADS, "pages")
        self._seconds = cache_seconds
        self._markers = WriteMarkers(markers or ProcessStore())
        self._clock = clock
        self._cached: TLRUCache[Hashable, StoredList] = TLRUCache(
            _MAX_BYTES,
            ttu=lambda _key, stored, _now: stored.fetched_at + cache_seconds,
            timer=clock,
            getsizeof=lambda stored: stored.size,
        )
        self._lock = threading.Lock()
        self._fetches = 1 if cache_seconds else shared_fetches
        self._flights: SingleFlight[tuple[StoredList, str]] = SingleFlight(
            waiting, calls=self._fetches, is_own=_is_own
        )

    def find(self, request: ListRequest, context: Context) -> FoundList:
        """Return a list.

        Raises:
            ImageServiceError: the store's errors, or there was no list in time.
        """
        listing = Listing(self._images, context, request)
        marker = self._markers.get(context.project_id) if self._seconds else ()
        if not self._fetches or marker is None:
            return FoundList(listing.fetch(self._executor, self._clock()), "fetched")
        try:
            return self._find(listing, (marker, request.key))
        except TimeoutError as error:
            raise ImageServiceUnavailable("another request's fetch took too long") from error
        except LimitExceeded as error:
            raise ImageServiceUnavailable(str(error), retry_after=error.retry_after) from error

    def note_write(self, project_id: str) -> None:
        """Stop using every list of a project that was requested before now."""
        if self._seconds:
            self._markers.change(project_id)

    def count_body(self, found: FoundList) -> None:
        """Count the bodies that a cached list was given since it was stored."""
        with self._lock:
            if self._cached.get(found.key) is found.stored:
                self._store(found.key, found.stored)

    def _find(self, listing: Listing, key: Hashable) -> FoundList:
        """Return a list from the cache, or fetch it, or wait for a request that does."""
        if stored := self._stored(key):
            source = "cached"
        else:
            look_up, deadline = partial(self._look_up, listing, key), listing.context.deadline
            (stored, source), is_shared = self._flights.do(key, look_up, deadline=deadline)
            source = "shared" if is_shared else source
        if source == "fetched":
            return FoundList(stored, source, key)
        if listing.context.share:
            listing.context.share.hold(stored.size)
        age = int(self._clock() - stored.fetched_at) if self._seconds else None
        return FoundList(stored, source, key, age)

    def _stored(self, key: Hashable) -> StoredList | None:
        if not self._seconds:
            return None
        with self._lock:
            return self._cached.get(key)

    def _look_up(self, listing: Listing, key: Hashable) -> tuple[StoredList, str]:
        if found := self._stored(key):  # another request stored it a moment ago
            return found, "cached"
        stored = listing.fetch(self._executor, self._clock())
        if self._seconds and stored.is_complete:
            with self._lock:
                self._store(key, stored)
        return stored, "fetched"

    def _store(self, key: Hashable, stored: StoredList) -> None:
        if stored.size <= _MAX_BYTES:
            self._cached[key] = stored
        else:
            self._cached.pop(key, None)


def _is_own(error: BaseException) -> bool:
    """Return whether an error concerns only the request that fetched, such as a revoked token."""
    return isinstance(error, ImageNotAuthenticated) or not isinstance(error, ImageServiceError)
