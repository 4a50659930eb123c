"""Paging: how many calls, how many images, which links; over the embedded store."""

from __future__ import annotations

import itertools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from adapters.test_memory import stocked

from nova_image_shim import create_app
from nova_image_shim.adapters import image_port as port
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.auth.caller import Caller
from nova_image_shim.lists.listing import Listing
from nova_image_shim.lists.query import ListRequest
from nova_image_shim.settings import Settings
from nova_image_shim.translation.filters import GlanceQuery
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse


class Watched(port.ImageService):
    """An image store that keeps what its lists were asked for."""

    def __init__(self, inner: port.ImageService) -> None:
        self.inner = inner
        self.calls: list[tuple[int, str | None, bool]] = []
        self.fail_backwards = False
        self.both_asked: threading.Barrier | None = None

    def list_page(
        self, context: Any, query: Mapping[str, str], *, limit: int, **kwargs: Any
    ) -> port.Page:
        backwards = kwargs.get("oldest_first", False)
        self.calls.append((limit, kwargs.get("marker"), backwards))
        if self.both_asked:
            self.both_asked.wait(5)
        if backwards and self.fail_backwards:
            raise port.ImageServiceUnavailable("not now")
        return self.inner.list_page(context, query, limit=limit, **kwargs)

    def endpoint(self, context: Any) -> None:
        return None

    def get(self, context: Any, image_id: str) -> port.Image:
        return self.inner.get(context, image_id)

    def update(self, context: Any, image_id: str, **changes: Any) -> port.Image:
        return self.inner.update(context, image_id, **changes)

    def delete(self, context: Any, image_id: str) -> None:
        self.inner.delete(context, image_id)


IDS = [f"{number:04}" for number in range(25)]


def over(**settings: Any) -> tuple[FlaskClient, Watched]:
    """Return a client over 25 images of one second, every other with a property, and the store."""
    images = tuple(
        {"id": image_id, "owner": "demo", "a_max": str(int(image_id) % 2), "created_at": "2020"}
        for image_id in IDS
    )
    service = Watched(stocked(images))
    client = create_app(Settings(**settings), service, accept_any_token).test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client, service


def listed(answer: TestResponse) -> list[str]:
    assert answer.json
    return [image["id"] for image in answer.json["images"]]


def links(answer: TestResponse) -> dict[str, Any]:
    """Return the queries of the links by their relation."""
    assert answer.json
    found = answer.json.get("images_links", [])
    assert [] == [link for link in found if urlsplit(link["href"]).path != "/v2/demo/images"]
    return {link["rel"]: parse_qs(urlsplit(link["href"]).query) for link in found}


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("", [10, 10, 10]),
        ("limit=0", [10, 10, 10]),
        ("limit=10", [10]),
        ("limit=12", [10, 2]),
        ("limit=12&page_size=5", [5, 7]),
        ("page_size=5", [5, 10, 10, 10]),
        ("page_size=500", [10, 10, 10]),
        ("limit=9999999999999999999999", [10, 10, 10]),
        ("property-a_max=1&limit=2", [10]),
        ("property-a_max=1&limit=12&page_size=4", [4, 10, 10]),
        ("property-name=x", []),
    ],
)
def test_pages_are_as_large_as_allowed_and_wanted(query: str, calls: list[int]) -> None:
    client, service = over(glance_page_size=10)
    client.get(f"/v2/demo/images?{query}")
    assert calls == [limit for limit, _, _ in service.calls]


def test_without_limit_everything_is_there() -> None:
    client, _ = over(glance_page_size=10)
    answer = client.get("/v2/demo/images")
    assert (IDS[::-1], {}) == (listed(answer), links(answer))


def test_what_the_shim_filters_itself_is_complete_and_counted_after_filtering() -> None:
    client, _ = over(glance_page_size=10)
    odd = [image_id for image_id in IDS[::-1] if int(image_id) % 2]
    assert odd == listed(client.get("/v2/demo/images?property-a_max=1"))
    answer = client.get("/v2/demo/images?property-a_max=1&limit=7&marker=0024")
    assert odd[:7] == listed(answer)
    assert {"next": {"property-a_max": ["1"], "limit": ["7"], "marker": [odd[6]]}} == links(answer)


@pytest.mark.parametrize(
    ("settings", "query", "next_marker"),
    [
        ({}, "limit=5", "0020"),
        ({}, "limit=25", "0000"),
        ({}, "limit=26", None),
        ({}, "limit=0", None),
        ({"max_limit": 5}, "", "0020"),
        ({"max_limit": 5}, "limit=7", "0020"),
        ({"max_limit": 5}, "limit=3", "0022"),
        ({"max_limit": 5}, "limit=0", "0020"),
        ({}, "limit=5&name=nobody", None),
        ({}, "limit=5&property-status=x", None),
    ],
)
def test_a_next_link_is_there_when_the_limit_was_reached(
    settings: dict[str, int], query: str, next_marker: str | None
) -> None:
    client, _ = over(**settings)
    found = links(client.get(f"/v2/demo/images?{query}"))
    assert ([next_marker] if next_marker else None) == found.get("next", {}).get("marker")


def test_a_next_link_has_the_requests_query_in_its_order_and_the_marker_last() -> None:
    client, _ = over()
    query = "zzz=1&limit=9&marker=0020&status=ACTIVE&limit=2&q=a+b%26&name=&name=x;status=ACTIVE"
    answer = client.get(f"/v2/demo/images?{query.replace('name=&name=x;', '')}")
    assert answer.json
    assert (
        "http://localhost/v2/demo/images?zzz=1&limit=9&status=ACTIVE&limit=2&q=a+b%26"
        "&status=ACTIVE&marker=0018"
    ) == answer.json["images_links"][0]["href"]


@pytest.mark.parametrize(
    ("query", "previous"),
    [
        ("limit=5&marker=0010", {"limit": ["5"], "marker": ["0015"]}),
        ("limit=5&marker=0020", {"limit": ["5"]}),
        ("limit=5&marker=0022", {"limit": ["3"]}),
        ("limit=5&marker=0024", {"limit": ["1"]}),
        ("limit=5&limit=9&marker=0022&x=1", {"x": ["1"], "limit": ["3"]}),
        ("limit=5", None),
        ("marker=0010", None),
        ("limit=0&marker=0010", None),
        ("limit=11&marker=0010", None),
        ("limit=5&marker=0010&property-a_max=1", None),
        ("limit=5&marker=0010&property-id=1", None),
    ],
)
def test_a_previous_link_leads_to_the_page_that_ends_with_the_marker(
    query: str, previous: dict[str, list[str]] | None
) -> None:
    client, service = over(glance_page_size=10)
    assert previous == links(client.get(f"/v2/demo/images?{query}")).get("previous")
    backwards = [call for call in service.calls if call[2]]
    assert (1 if previous else 0) == len(backwards)


def test_the_next_link_comes_before_the_previous_one() -> None:
    client, _ = over()
    assert ["next", "previous"] == list(links(client.get("/v2/demo/images?limit=5&marker=0010")))


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 24, 25, 26])
def test_links_walk_the_list_forwards_and_back(limit: int) -> None:
    client, _ = over()
    answer = client.get(f"/v2/demo/images?limit={limit}")
    pages = [listed(answer)]
    while (href := _href(answer, "next")) is not None:
        answer = client.get(href)
        pages.append(listed(answer))
    assert IDS[::-1] == list(itertools.chain(*pages))
    back: list[str] = []
    while (href := _href(answer, "previous")) is not None:
        answer = client.get(href)
        back = listed(answer) + back
    assert IDS[::-1][: len(back)] == back
    assert len(back) + len(pages[-1]) == len(IDS)


def _href(answer: TestResponse, rel: str) -> str | None:
    assert answer.json
    found = [link["href"] for link in answer.json.get("images_links", []) if link["rel"] == rel]
    return found[0] if found else None


def test_previous_links_can_be_turned_off() -> None:
    client, service = over(compat=("no-previous-links",))
    assert ["next"] == list(links(client.get("/v2/demo/images?limit=5&marker=0010")))
    assert [(5, "0010", False)] == service.calls


def test_a_page_is_answered_when_the_previous_one_cannot_be_found() -> None:
    client, service = over()
    service.fail_backwards = True
    answer = client.get("/v2/demo/images?limit=5&marker=0010")
    assert (200, IDS[9:4:-1], ["next"]) == (answer.status_code, listed(answer), list(links(answer)))


def test_the_page_and_the_one_before_it_are_asked_for_at_the_same_time() -> None:
    client, service = over()
    service.both_asked = threading.Barrier(2)  # breaks unless both calls are under way at once
    assert 200 == client.get("/v2/demo/images?limit=5&marker=0010").status_code


def test_one_page_is_asked_for_ahead_while_one_is_translated() -> None:
    _, service = over()
    context = port.Context("demo", "req-1", None, math.inf)
    request = ListRequest(
        caller=Caller("u", "demo"),
        endpoint=None,
        translator=Translator(Links("", "", "", "", "")),
        detailed=True,
        query=GlanceQuery({}, {}),
        limit=None,
        marker=None,
        page_size=10,
        first_page_size=10,
        with_previous=False,
    )
    listing = Listing(service, context, request)
    with ThreadPoolExecutor(4) as executor:
        pages = listing.pages(executor)
        first = next(pages)
        deadline = time.monotonic() + 10
        while len(service.calls) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.05)
        assert [(10, None, False), (10, "0015", False)] == service.calls
        assert IDS[:14:-1] == [image["id"] for image in first]
        rest = [[image["id"] for image in page] for page in pages]
    assert [[], IDS[14:4:-1], IDS[4::-1]] == [first, *rest]


def test_an_image_deleted_while_the_list_is_read_does_not_make_it_a_short_one() -> None:
    client, service = over(glance_page_size=10)
    usual = service.inner.list_page

    def page_then_delete(context: Any, query: Any, **kwargs: Any) -> port.Page:
        page = usual(context, query, **kwargs)
        if page.next_marker:
            service.inner.delete(context, page.next_marker)
        return page

    service.inner.list_page = page_then_delete  # type: ignore[method-assign]
    answer = client.get("/v2/demo/images")
    fault = {
        "code": 503,
        "message": "The server is currently unavailable. Please try again at a later time.",
    }
    assert {"serviceUnavailable": fault} == answer.json
