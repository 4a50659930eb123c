"""Fetch a list over Glance's pages, and find the pages before and after it."""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from nova_image_shim.adapters.image_port import (
    Context,
    Image,
    ImageService,
    ImageServiceError,
    ImageServiceUnavailable,
    MarkerNotFound,
    Page,
)
from nova_image_shim.lists.body import Body
from nova_image_shim.lists.query import ListRequest
from nova_image_shim.translation.ascii_json import to_elements, to_json_list

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Previous(NamedTuple):
    """Where the previous page begins."""

    marker: str | None  # the image before its first one, None at the start of the list
    limit: int | None  # how many images it holds, None for as many as this page


@dataclass(eq=False, slots=True)
class StoredList:
    """A whole list in the legacy form."""

    pages: list[bytes]  # its entries as elements of JSON arrays, a piece for each Glance page
    count: int  # of entries
    last_id: str | None  # after which the next page begins, None where no such link is due
    previous: Previous | None  # None where no such link is due
    is_complete: bool  # False where the previous page could not be found
    fetched_at: float  # when the store was first called, in seconds of the cache's clock
    _body: tuple[dict[str, Any], Body] | None = None  # the one made last, and its tail
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def body(self, tail: dict[str, Any]) -> Body:
        """Return its body with what comes after the entries; made once for equal tails in a row."""
        with self._lock:
            if self._body is None or self._body[0] != tail:
                self._body = tail, Body(tuple(to_json_list("images", self.pages, tail)))
            return self._body[1]

    @property
    def size(self) -> int:
        """Return how many bytes it holds, with its body."""
        return sum(map(len, self.pages)) + (self._body[1].size if self._body else 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list being fetched from a store, on behalf of a caller."""

    service: ImageService
    context: Context
    request: ListRequest

    def fetch(self, executor: Executor, now: float) -> StoredList:
        """Fetch all of it, and translate it to bytes page by page; `now` becomes `fetched_at`.

        Raises:
            ImageServiceError: as `pages`, or what the store answers.
        """
        request = self.request
        searched = self._start_previous(executor) if request.marker else None
        pages: list[bytes] = []
        count, last_id = 0, ""
        translator = request.translator
        to_entry = translator.full if request.detailed else translator.brief
        for images in self.pages(executor):
            pages.append(to_elements(map(to_entry, images)))
            count += len(images)
            last_id = images[-1]["id"] if images else last_id
        previous = searched() if searched else None
        return StoredList(
            pages,
            count,
            last_id if count == request.limit else None,
            previous,
            is_complete=searched is None or previous is not None,
            fetched_at=now,
        )

    def pages(self, executor: Executor) -> Iterator[list[Image]]:
        """Yield the images page by page, each once, until there are `limit` of them or no more.

        The executor fetches the next page while one is translated. A yielded list is emptied
        before the next one is, so that no more than two pages are held at a time.

        Raises:
            MarkerNotFound: the image of the request's own marker does not exist.
            ImageServiceUnavailable: the pages repeat, or the image on which one page ended is
                gone: a list with a gap must not pass for a complete one.
        """
        request = self.request
        if request.query.impossible:
            return
        left, seen = request.limit, {request.marker}
        listed: set[str] = set()
        images, following = self._page(request.first_page_size, left, request.marker)
        while True:
            if request.query.properties:
                images = request.query.matching(images)
            if listed or following is not None:
                images = _unlisted(images, listed)
            images = images[:left]
            left = left and left - len(images)
            if left == 0 or following is None:
                yield images
                return
            if following in seen:
                raise ImageServiceUnavailable(f"Glance's next page is {following} again")
            seen.add(following)
            ahead = _start(executor, partial(self._page, request.page_size, left, following))
            yield images
            images.clear()
            images, following = ahead()
            del ahead  # which holds the page, too

    def _page(self, size: int, left: int | None, marker: str | None) -> Page:
        query = self.request.query
        least = size if query.properties or left is None else min(size, left)
        try:
            return self.service.list_page(self.context, query.params, limit=least, marker=marker)
        except MarkerNotFound as error:
            if marker == self.request.marker:
                raise
            raise ImageServiceUnavailable(f"the list changed while it was read: {error}") from error

    def _start_previous(self, executor: Executor) -> Callable[[], Previous | None] | None:
        """Start to look for the previous page, beside the list itself.

        Returns None if no such link is due: without a limit, if it would take more than one call,
        or if Glance does not have such a filter.
        """
        request = self.request
        due = request.with_previous and request.limit and request.limit <= request.page_size
        if not due or request.query.properties or request.query.impossible:
            return None
        return _start(executor, self._previous)

    def _previous(self) -> Previous | None:
        """Fetch the images before the marker, nearest first; None if that fails."""
        request, limit = self.request, self.request.limit or 0
        try:
            before = self.service.list_page(
                self.context,
                request.query.params,
                limit=limit,
                marker=request.marker,
                oldest_first=True,
            ).images
        except ImageServiceError as error:
            _log.info("no link to the previous page: %s", error)
            return None
        if len(before) < limit:  # the marker is the last image of a page that starts the list
            return Previous(None, len(before) + 1)
        return Previous(before[limit - 1]["id"], None)


def _unlisted(images: list[Image], listed: set[str]) -> list[Image]:
    """Return the images that are not listed yet: one may move to a later page in the meantime."""
    new = {image["id"]: image for image in images if image["id"] not in listed}
    listed.update(new)
    return list(new.values())


def _start(executor: Executor, ask: Callable[[], _T]) -> Callable[[], _T]:
    """Run a call in another thread as a part of the same request; return what waits for its result.

    If no thread has begun it by then, the waiting thread runs it itself.
    """
    started = executor.submit(contextvars.copy_context().run, ask)
    return lambda: ask() if started.cancel() else started.result()
