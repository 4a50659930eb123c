"""The bytes of lists: of one list, and of all lists of a process at the same time."""

import gzip
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from adapters.timing import soon
from auth.over_keystone import AWAY, IMAGE_ID, ask, over, told
from flask import Flask
from support.fakes import FakeGlance, FakeKeystone, says, token_of
from werkzeug.wrappers import Request, Response

from nova_image_shim.adapters.limits.limiter import Room

MOST = 2**20
LIST, DETAIL = "/v2/demo/images", "/v2/demo/images/detail"


def app_over(keystone: FakeKeystone, **environ: str) -> Flask:
    """Return a service with room for few lists, where each request fetches its own."""
    bounds = {"SHIM_MAX_LIST_BYTES": str(MOST), "SHIM_QUEUE_SECONDS": "5", "SHIM_SHARED_LISTS": "0"}
    return over(keystone, **bounds | environ)


def room_of(app: Flask) -> Room:
    room: Room = app.extensions["nova_image_shim"].room
    return room


def page(number: int, size: int, *, is_last: bool = False) -> dict[str, Any]:
    """Return a page of one image, of so many bytes."""
    body: dict[str, Any] = {"images": [{"id": f"i{number}", "a_max": "1", "text": ""}]}
    if not is_last:
        body["next"] = f"/v2/images?marker=i{number}"
    body["images"][0]["text"] = "x" * (size - len(json.dumps(body)))
    return body


def pages(*sizes: int) -> list[Callable[[Request], Response]]:
    last = len(sizes) - 1
    return [says(200, page(n, size, is_last=n == last)) for n, size in enumerate(sizes)]


@pytest.mark.parametrize("path", [LIST, DETAIL, f"{LIST}?property-a_max=none", f"{LIST}?limit=9"])
@pytest.mark.parametrize(
    ("sizes", "is_good"),
    [
        ([MOST], True),
        ([MOST // 2, MOST // 2], True),
        ([MOST // 4] * 4, True),
        ([MOST + 1], False),
        ([MOST // 2, MOST // 2 + 1], False),
        ([MOST // 4] * 4 + [200], False),
    ],
)
def test_a_list_has_so_many_bytes_at_glance_and_no_more(
    path: str,
    sizes: list[int],
    is_good: bool,
    keystone: FakeKeystone,
    glance: FakeGlance,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = app_over(keystone)
    glance.answers[:] = pages(*sizes)
    with ask(app, path) as answer:
        assert (200 if is_good else 503) == answer.status_code
        assert "Retry-After" not in answer.headers
    reason = "ImageServiceUnavailable: the list is over 1048576 bytes"
    assert ([] if is_good else [reason]) == [text for text in caplog.messages if "over" in text]
    assert 4 * MOST == room_of(app).free


def test_a_cached_list_may_be_larger_than_what_glance_sent(
    keystone: FakeKeystone, glance: FakeGlance
) -> None:
    app = app_over(keystone, SHIM_CACHE_SECONDS="60", WEB_CONCURRENCY="1")
    glance.answers[:] = pages(MOST - 10)  # links and the body make it larger here
    for _ in range(3):
        with ask(app, DETAIL) as answer:
            assert 200 == answer.status_code
    assert 1 == len(glance.seen)
    assert 4 * MOST == room_of(app).free


def test_a_list_without_end_is_refused(keystone: FakeKeystone, glance: FakeGlance) -> None:
    app = app_over(keystone)
    glance.answers[:] = [says(200, page(number, MOST // 9)) for number in range(20)]
    assert AWAY == told(ask(app))
    soon(lambda: len(glance.seen) in {10, 11})  # the next page may be on its way


def test_what_counts_is_unpacked(keystone: FakeKeystone, glance: FakeGlance) -> None:
    packed = gzip.compress(json.dumps(page(0, MOST + 1)).encode())
    assert len(packed) < 10_000
    glance.answers.append(says(200, packed, Content_Encoding="gzip"))
    assert AWAY == told(ask(app_over(keystone)))


@pytest.mark.parametrize(("size", "status"), [(MOST - 100, 200), (MOST + 1, 503)])
def test_a_single_image_has_the_same_bound(
    size: int, status: int, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    glance.answers.append(says(200, {"id": IMAGE_ID, "text": "x" * size}))
    assert status == ask(app_over(keystone), f"{LIST}/{IMAGE_ID}").status_code


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_response_keeps_its_bytes_of_the_room_until_it_is_sent(
    method: str, encoding: str, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    app = app_over(keystone)
    glance.answers[:] = pages(MOST // 2)
    headers = {"X-Auth-Token": token_of("demo"), "Accept-Encoding": encoding}
    answer = app.test_client().open(LIST + "/detail", method=method, headers=headers)
    held = 4 * MOST - room_of(app).free
    assert min(MOST // 2, answer.content_length or 0) == held
    assert 0 < held <= (MOST // 2 if encoding == "identity" else MOST // 100)
    answer.close()
    assert 4 * MOST == room_of(app).free


class SlowGlance:
    """Lists whose second page does not come before it is released."""

    def __init__(self, glance: FakeGlance, first: int) -> None:
        self.released = threading.Event()
        self.waiting = 0
        self._first = first
        self._lock = threading.Lock()
        glance.answers[:] = [self] * 100

    def __call__(self, request: Request) -> Response:
        if request.path != "/v2/images":
            return says(200, {"id": IMAGE_ID})(request)
        if "marker" not in request.args:
            return says(200, page(0, self._first))(request)
        with self._lock:
            self.waiting += 1
        self.released.wait(10)
        return says(200, page(1, 200, is_last=True))(request)


def test_lists_that_find_no_room_wait_and_are_refused_then(
    keystone: FakeKeystone, glance: FakeGlance
) -> None:
    app = app_over(keystone, SHIM_QUEUE_SECONDS="0.1", SHIM_THREADS="5")
    slow = SlowGlance(glance, MOST - 300)
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(ask, app) for _ in range(4)]
        soon(lambda: slow.waiting == 4)
        refused = ask(app)
        assert (AWAY, "1") == (told(refused), refused.headers["Retry-After"])
        assert 200 == ask(app, f"{LIST}/{IMAGE_ID}").status_code  # which is not a list
        slow.released.set()
    for future in held:
        with future.result() as answer:
            assert 200 == answer.status_code
    with ask(app) as answer:
        assert 200 == answer.status_code
    assert 4 * MOST == room_of(app).free


def test_the_next_list_begins_as_soon_as_there_is_room(
    keystone: FakeKeystone, glance: FakeGlance
) -> None:
    app = app_over(keystone)
    slow = SlowGlance(glance, MOST - 300)
    with ThreadPoolExecutor(9) as pool:
        held = [pool.submit(ask, app) for _ in range(4)]
        soon(lambda: slow.waiting == 4)
        more = [pool.submit(ask, app) for _ in range(5)]
        slow.released.set()
        for future in (*held, *more):
            with future.result() as answer:
                assert 200 == answer.status_code
    assert 4 * MOST == room_of(app).free


def test_those_that_wait_for_room_hold_no_slot(keystone: FakeKeystone, glance: FakeGlance) -> None:
    app = app_over(keystone, SHIM_THREADS="5")
    slow = SlowGlance(glance, MOST - 300)
    room = room_of(app)
    room.free -= 4 * MOST - 300  # all but what the lists that are being read may need
    with ThreadPoolExecutor(4) as pool:
        lists = [pool.submit(ask, app) for _ in range(4)]
        soon(lambda: app.extensions["nova_image_shim"].limiter.waiting._count == 4)
        assert 200 == ask(app, f"{LIST}/{IMAGE_ID}").status_code
        assert ["/v2/images/" + IMAGE_ID] == [seen.path for seen in glance.seen]
        with room.changed:
            room.free += 4 * MOST - 300
            room.changed.notify_all()
        slow.released.set()
    assert [200] * 4 == [future.result().status_code for future in lists]
