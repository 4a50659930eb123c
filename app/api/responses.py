"""Answers to lists: the body, and the links to the pages around it."""

from urllib.parse import urlencode

from flask import Response

from nova_image_shim.lists.listing import Previous, StoredList
from nova_image_shim.lists.query import Pairs
from nova_image_shim.translation.ascii_json import to_json_list
from nova_image_shim.translation.links import Link
from nova_image_shim.web.responses import answer


def list_response(stored: StoredList, links: list[Link], age: int | None) -> Response:
    """Return `{"images": [...], "images_links": [...]}`, the links only where there are any.

    Args:
        stored: the list.
        links: to the pages around it.
        age: in seconds where it was fetched for another request; becomes the `Age` header.
    """
    tail = {"images_links": links} if links else {}
    response = answer(*to_json_list("images", stored.pages, tail))
    if age is not None:
        response.headers["Age"] = str(age)
    return response


def page_links(url: str, pairs: Pairs, stored: StoredList) -> list[Link]:
    """Return the links to the next and previous pages that are due.

    Args:
        url: of the list, without a query.
        pairs: the request's query, which the links repeat.
        stored: the list.
    """
    links = []
    if stored.last_id is not None:
        links.append({"rel": "next", "href": _href(url, pairs, stored.last_id)})
    if stored.previous is not None:
        links.append({"rel": "previous", "href": _previous_href(url, pairs, stored.previous)})
    return links


def _previous_href(url: str, pairs: Pairs, previous: Previous) -> str:
    if previous.limit is not None:
        pairs = [*(pair for pair in pairs if pair[0] != "limit"), ("limit", str(previous.limit))]
    return _href(url, pairs, previous.marker)


def _href(url: str, pairs: Pairs, marker: str | None) -> str:
    """Return a link with the request's own query, the marker last."""
    kept = [pair for pair in pairs if pair[0] != "marker"]
    query = urlencode(kept if marker is None else [*kept, ("marker", marker)])
    return f"{url}?{query}" if query else url
