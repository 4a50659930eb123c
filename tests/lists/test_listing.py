"""Paging over the embedded store: number of calls, number of images, and links."""

import itertools
import math
import threading
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from auth.over_keystone import UNAVAILABLE
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from nova_image_shim import create_app
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.auth.caller import Caller
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.lists.listing import Listing
from nova_image_shim.lists.query import ListRequest
from nova_image_shim.settings import Settings
from nova_image_shim.translation.filters import GlanceQuery
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator


class RecordingStore(MemoryImageService):
    """An image store that records the arguments of its lists, and can be disturbed."""

    fail_backwards = delete_markers = False
    barrier: threading.Barrier | None = None

    def __init__(self, images: Iterable[dict[str, Any]]) -> None:
        super().__init__(map(complete, images))
        self.calls: list[tuple[int, str | None, bool]] = []

    def list_page(self, context: Any, query: Any, **kwargs: Any) -> port.Page:
        backwards = kwargs.get("oldest_first", False)
        self.calls.append((kwargs["limit"], kwargs.get("marker"), backwards))
        if self.barrier:
            self.barrier.wait(5)
        if backwards and self.fail_backwards:
            raise port.ImageServiceUnavailable("not now")
        page = super().list_page(context, query, **kwargs)
        if self.delete_markers and page.next_marker:
            self.delete(context, page.next_marker)
        return page


IDS = [f"{number:04}" for number in range(25)]


def over(**settings: Any) -> tuple[FlaskClient, RecordingStore]:
    """Return a client and its store of 25 images created in one second; odd ones have `a_max` 1."""
    service = RecordingStore(
        {"id": image_id, "owner": "demo", "a_max": str(int(image_id) % 2), "created_at": "2020"}
        for image_id in IDS
    )
    client = create_app(Settings(**settings), service, accept_any_token).test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client, service


def listed(answer: TestResponse) -> list[str]:
    assert answer.json
    return [image["id"] for image in answer.json["images"]]


def links(answer: TestResponse) -> dict[str, Any]:
    """Return the links' queries by relation."""
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
def test_glance_pages_are_as_large_as_allowed_and_needed(query: str, calls: list[int]) -> None:
    client, service = over(glance_page_size=10)
    client.get(f"/v2/demo/images?{query}")
    assert calls == [limit for limit, _, _ in service.calls]


def test_a_list_without_limit_is_complete() -> None:
    client, _ = over(glance_page_size=10)
    answer = client.get("/v2/demo/images")
    assert (IDS[::-1], {}) == (listed(answer), links(answer))


def test_the_limit_counts_images_after_filtering_here() -> None:
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
def test_a_list_that_reaches_the_limit_has_a_next_link(
    settings: dict[str, int], query: str, next_marker: str | None
) -> None:
    client, _ = over(**settings)
    found = links(client.get(f"/v2/demo/images?{query}"))
    assert ([next_marker] if next_marker else None) == found.get("next", {}).get("marker")


def test_a_next_link_repeats_the_query_in_order_with_the_marker_last() -> None:
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


def test_a_page_is_returned_even_if_the_previous_one_cannot_be_found() -> None:
    client, service = over()
    service.fail_backwards = True
    answer = client.get("/v2/demo/images?limit=5&marker=0010")
    assert (200, IDS[9:4:-1], ["next"]) == (answer.status_code, listed(answer), list(links(answer)))


def test_a_page_and_the_previous_one_are_fetched_at_the_same_time() -> None:
    client, service = over()
    service.barrier = threading.Barrier(2)  # breaks unless both calls are under way at once
    assert 200 == client.get("/v2/demo/images?limit=5&marker=0010").status_code


class Inline(Executor):
    """An executor that makes each call at once, in the caller's thread."""

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*args, **kwargs))
        return future


def test_the_next_page_and_no_other_is_fetched_while_one_is_translated() -> None:
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
    pages = Listing(service, context, request).pages(Inline())
    first = next(pages)
    assert [(10, None, False), (10, "0015", False)] == service.calls
    assert IDS[:14:-1] == [image["id"] for image in first]
    rest = [[image["id"] for image in page] for page in pages]
    assert [[], IDS[14:4:-1], IDS[4::-1]] == [first, *rest]


def test_a_list_fails_rather_than_ends_early_if_an_image_is_deleted_meanwhile() -> None:
    client, service = over(glance_page_size=10)
    service.delete_markers = True
    answer = client.get("/v2/demo/images")
    assert UNAVAILABLE == answer.json


class Pages(MemoryImageService):
    """A store whose pages are scripted: ids, each page led to by the last id of the one before."""

    def __init__(self, *pages: str) -> None:
        super().__init__()
        self.pages = list(pages)

    def list_page(self, context: Any, query: Any, **kwargs: Any) -> port.Page:
        ids = self.pages.pop(0)
        images: Any = [{"id": image_id, "a_max": "1"} for image_id in ids]
        return port.Page(images, ids[-1] if self.pages else None)


@pytest.mark.parametrize(
    ("pages", "query", "ids", "calls"),
    [
        (["ab", "bc"], "", "abc", 2),
        (["abc", "dbe", "af"], "", "abcdef", 3),
        (["aab", "c"], "", "abc", 2),
        (["ab", "ba", "c"], "", "abc", 3),
        (["ab", "b"], "", "ab", 2),
        (["ab", "bc", "cd"], "limit=4", "abcd", 3),
        (["ab", "bc", "cd"], "limit=3", "abc", 2),
        (["ab", "bc", "cd"], "property-a_max=1&limit=3", "abc", 2),
    ],
)
@pytest.mark.parametrize("path", ["images", "images/detail"])
def test_an_image_that_moves_between_pages_is_listed_once(
    path: str, pages: list[str], query: str, ids: str, calls: int
) -> None:
    service = Pages(*pages)
    client = create_app(Settings(glance_page_size=2), service, accept_any_token).test_client()
    answer = client.get(f"/v2/demo/{path}?{query}", headers={"X-Auth-Token": "demo"})
    assert list(ids) == listed(answer)
    assert len(pages) - calls == len(service.pages)
    assert answer.json
    following = [
        link["href"].rpartition("marker=")[2] for link in answer.json.get("images_links", [])
    ]
    assert ([ids[-1]] if "limit" in query else []) == following
