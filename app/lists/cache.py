"""Lists of images: fetched from the store, or taken from the cache.

Old clients request the same list again and again. Lists are cached in this process only, as
finished bytes, and never those that failed. A write by a project changes its *write marker*, which
is part of every key, so that no process that shares the markers answers with an older list. Where
the store loses the change, at least this process forgets its lists.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

from cachetools import TLRUCache

from nova_image_shim.adapters.image_port import Context, ImageService, ImageServiceUnavailable
from nova_image_shim.adapters.limits.limiter import LimitExceeded
from nova_image_shim.adapters.limits.single_flight import SingleFlight
from nova_image_shim.adapters.stores.process import ProcessStore, Store
from nova_image_shim.lists.listing import Listing, StoredList
from nova_image_shim.lists.query import ListRequest

_MAX_BYTES = 2**26
_MAX_WAIT_SECONDS = 3600.0
_MARKER_SECONDS = 86400  # after a marker expires, lists are only fetched again
_MARKER_BYTES = 16


class Lists:
    """The lists of one process.

    Args:
        images: the image store.
        threads: how many requests the process serves at a time.
        cache_seconds: how long a list is used again; 0 turns the cache off.
        markers: where write markers are; shared by all processes whose writes should be seen.
        waiting: entered while a request waits for another's fetch; bounds how many do.
        clock: returns seconds.
    """

    def __init__(
        self,
        images: ImageService,
        *,
        threads: int,
        cache_seconds: int = 0,
        markers: Store | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._images = images
        self._executor = ThreadPoolExecutor(2 * threads, "pages")
        self._seconds = cache_seconds
        self._markers = markers or ProcessStore()
        self._clock = clock
        self._cached: TLRUCache[Hashable, StoredList] = TLRUCache(
            _MAX_BYTES,
            ttu=lambda _key, stored, _now: stored.fetched_at + cache_seconds,
            timer=clock,
            getsizeof=lambda stored: stored.size,
        )
        self._lost_markers = 0  # part of every key, too
        self._flights: SingleFlight[StoredList] = SingleFlight(waiting)
        self._lock = threading.Lock()

    def find(self, request: ListRequest, context: Context) -> tuple[StoredList, int | None]:
        """Return a list, and its age in seconds where it was fetched for another request.

        Raises:
            ImageServiceError: the store's errors, or another request's fetch took too long.
        """
        listing = Listing(self._images, context, request)
        marker = self._marker(context.project_id) if self._seconds else None
        if marker is None:
            return listing.fetch(self._executor, self._clock()), None
        key = (marker, self._lost_markers, request.key)
        stored, is_shared = self._stored(key), True
        if stored is None:
            stored, is_shared = self._fetch_once(key, listing)
        return stored, int(self._clock() - stored.fetched_at) if is_shared else None

    def note_write(self, project_id: str) -> None:
        """Stop using every list of a project that was requested before now."""
        if not self._seconds:
            return
        if not self._markers.set(_marker_key(project_id), _new_marker(), _MARKER_SECONDS):
            with self._lock:
                self._lost_markers += 1

    def _stored(self, key: Hashable) -> StoredList | None:
        with self._lock:
            return self._cached.get(key)

    def _fetch_once(self, key: Hashable, listing: Listing) -> tuple[StoredList, bool]:
        """Fetch a list, or wait for the request that does; where that one fails, fetch it too."""

        def fetch_and_store() -> StoredList:
            if found := self._stored(key):  # another request stored it a moment ago
                return found
            stored = listing.fetch(self._executor, self._clock())
            if stored.is_complete and stored.size <= _MAX_BYTES:
                with self._lock:
                    self._cached[key] = stored
            return stored

        seconds = min(listing.context.deadline - time.monotonic(), _MAX_WAIT_SECONDS)
        try:
            return self._flights.do(key, fetch_and_store, seconds=seconds, retry=True)
        except TimeoutError as error:
            raise ImageServiceUnavailable("another request's fetch took too long") from error
        except LimitExceeded as error:
            raise ImageServiceUnavailable(str(error), retry_after=error.retry_after) from error

    def _marker(self, project_id: str) -> bytes | None:
        """Return the write marker of a project, None if it is unknown.

        A missing one is created at random: it matches nothing that is cached anywhere.
        """
        key = _marker_key(project_id)
        if found := self._markers.get(key):
            return found
        marker = _new_marker()
        if self._markers.add(key, marker, _MARKER_SECONDS):
            return marker
        return self._markers.get(key)  # another process was first, or the store is away


def _marker_key(project_id: str) -> str:
    return f"writes/{hashlib.sha256(project_id.encode()).hexdigest()}"


def _new_marker() -> bytes:
    return secrets.token_bytes(_MARKER_BYTES)
