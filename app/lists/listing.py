"""The list over Glance's pages: how many, how far, and the links to the pages around it."""

from __future__ import annotations

import contextvars
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from nova_image_shim.adapters.image_port import (
    ImageServiceError,
    ImageServiceUnavailable,
    MarkerNotFound,
    Page,
)
from nova_image_shim.translation.ascii_json import to_elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

    from nova_image_shim.adapters.image_port import Context, Image, ImageService
    from nova_image_shim.lists.query import ListQuery, Pairs
    from nova_image_shim.translation.filters import GlanceQuery

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Listed(NamedTuple):
    """A whole list in the legacy form.

    Args:
        pages: its entries as the elements of JSON arrays, one piece for each page of the store.
        total: how many entries there are.
        last_id: the id after which the next page begins, None where no such link is due.
        previous: where the page before begins, None where no such link is due.
        is_whole: False where the page before could not be found out.
    """

    pages: list[bytes]
    total: int
    last_id: str | None
    previous: Previous | None
    is_whole: bool = True


class Previous(NamedTuple):
    """Where the page before begins.

    Args:
        marker: the image before its first one, None where it is the start of the list.
        limit: how many images it holds, None for as many as this page.
    """

    marker: str | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """One list, as wanted by one request.

    Args:
        service: where the images are.
        context: who asks.
        query: what is asked for.
        limit: the most images that the answer holds, None for all there are.
        page_size: how many images the service is asked for at a time.
        first_page_size: the same for the first call only.
        marker: the id after which the list begins.
    """

    service: ImageService
    context: Context
    query: GlanceQuery
    limit: int | None
    page_size: int
    first_page_size: int
    marker: str | None

    @classmethod
    def wanted(
        cls,
        service: ImageService,
        context: Context,
        asked: ListQuery,
        query: GlanceQuery,
        *,
        page_size: int,
        max_limit: int | None,
    ) -> Listing:
        """Return the listing for a checked query, `max_limit` and the page size applied."""
        limits = [limit for limit in (asked.limit, max_limit) if limit]
        return cls(
            service=service,
            context=context,
            query=query,
            limit=min(limits, default=None),
            page_size=page_size,
            first_page_size=min(asked.page_size or page_size, page_size),
            marker=asked.marker,
        )

    def gather(
        self,
        to_entry: Callable[[Image], dict[str, Any]],
        executor: Executor,
        *,
        with_previous: bool,
    ) -> Listed:
        """Ask for all of it, and translate it to bytes page by page.

        Args:
            to_entry: the translation of one image.
            executor: asks for other pages meanwhile.
            with_previous: whether a link to the page before is wanted.

        Raises:
            ImageServiceError: as `pages`, or what the store answers.
        """
        searched = self._start_previous(executor) if with_previous else None
        pages: list[bytes] = []
        count, last_id = 0, ""
        for images in self.pages(executor):
            pages.append(to_elements([to_entry(image) for image in images]))
            count += len(images)
            last_id = images[-1]["id"] if images else last_id
        previous = searched.result() if searched else None
        is_whole = searched is None or previous is not None
        return Listed(pages, count, last_id if count == self.limit else None, previous, is_whole)

    def pages(self, executor: Executor) -> Iterator[list[Image]]:
        """Yield the images page by page until there are `limit` of them or no more.

        The executor asks for the next page while one is translated. A list that was yielded is
        emptied before, so that no more than these two are held at a time.

        Raises:
            MarkerNotFound: the request's own marker is none.
            ImageServiceUnavailable: the service's pages lead nowhere, or the image on which one
                page ended is gone: a list with a hole must not pass for a whole one.
        """
        if self.query.impossible:
            return
        left, seen = self.limit, {self.marker}
        images, following = self._page(self.first_page_size, left, self.marker)
        while True:
            images = self.query.matching(images)[:left]
            left = left and left - len(images)
            if left == 0 or following is None:
                yield images
                return
            if following in seen:
                raise ImageServiceUnavailable(f"Glance's next page is {following} again")
            seen.add(following)
            ahead = _start(executor, partial(self._page, self.page_size, left, following))
            yield images
            images.clear()
            images, following = ahead.result()
            del ahead  # which holds the page, too

    def _page(self, size: int, left: int | None, marker: str | None) -> Page:
        least = size if self.query.properties or left is None else min(size, left)
        try:
            return self.service.list_page(
                self.context, self.query.params, limit=least, marker=marker
            )
        except MarkerNotFound as error:
            if marker == self.marker:
                raise
            raise ImageServiceUnavailable(f"the list changed while it was read: {error}") from error

    def _start_previous(self, executor: Executor) -> Future[Previous | None] | None:
        """Begin to look for the page before, beside the list itself.

        Returns None where no such link is due: without marker or limit, where more than one call
        would be needed, or where the service cannot be asked for this very filter.
        """
        due = self.marker and self.limit and self.limit <= self.page_size
        if not due or self.query.properties or self.query.impossible:
            return None
        return _start(executor, self._previous)

    def _previous(self) -> Previous | None:
        """Ask for the images before the marker, nearest first; None if that fails."""
        limit = self.limit or 0
        try:
            before = self.service.list_page(
                self.context, self.query.params, limit=limit, marker=self.marker, oldest_first=True
            ).images
        except ImageServiceError as error:
            _log.info("no link to the previous page: %s", error)
            return None
        if len(before) < limit:  # the marker is the last image of a page that starts the list
            return Previous(None, len(before) + 1)
        return Previous(before[limit - 1]["id"], None)


def _start(executor: Executor, ask: Callable[[], _T]) -> Future[_T]:
    """Have it run beside this thread, as a part of the same request."""
    return executor.submit(contextvars.copy_context().run, ask)


def next_href(url: str, pairs: Pairs, last_id: str) -> str:
    """Return the link to the page after `last_id`: the request's own query, the marker last."""
    return _href(url, [pair for pair in pairs if pair[0] != "marker"], last_id)


def previous_href(url: str, pairs: Pairs, previous: Previous) -> str:
    """Return the link to the page before."""
    kept = [pair for pair in pairs if pair[0] != "marker"]
    if previous.limit is not None:
        kept = [pair for pair in kept if pair[0] != "limit"]
        kept.append(("limit", str(previous.limit)))
    return _href(url, kept, previous.marker)


def _href(url: str, pairs: Pairs, marker: str | None) -> str:
    query = urlencode(pairs if marker is None else [*pairs, ("marker", marker)])
    return f"{url}?{query}" if query else url
