"""Lists that concurrent requests share: who shares, what each gets, and how it fails."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from adapters.timing import soon
from werkzeug.test import TestResponse

from lists.test_cache import CALLERS, DETAIL, Asked, Cached, token
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.settings import Settings

MANY = 6


@dataclass
class Held(Asked):
    """An image store whose lists wait for the test, in order."""

    turns: list[threading.Event] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def list_page(self, context: port.Context, *args: Any, **kwargs: Any) -> port.Page:
        with self.lock:
            self.asked.append(context.project_id)
            number = len(self.asked)
            self.turns.append(turn := threading.Event())
        turn.wait(10)
        self.first(context)
        page = MemoryImageService.list_page(self, context, *args, **kwargs)
        named: list[Any] = [{**image, "name": f"fetch {number}"} for image in page.images]
        return port.Page(named, page.next_marker)


class Service:
    """The service over such a store, and requests to it in threads."""

    def __init__(self, pool: ThreadPoolExecutor, **settings: Any) -> None:
        self.store = Held()
        self.cached = Cached(service=self.store, settings=Settings(**settings))
        self.client = self.cached.client()
        self.pool = pool

    def ask(self, name: str = "demo", path: str = DETAIL) -> Future[TestResponse]:
        path = path.replace("demo", CALLERS[name].project_id or "")
        return self.pool.submit(self.client.get, path, headers=token(name))

    def fetches(self, count: int) -> None:
        soon(lambda: len(self.store.turns) >= count)

    def waits(self, count: int) -> None:
        soon(lambda: self.cached.waiting._count == count and self.lined_up() == count)

    def lined_up(self) -> int:
        groups = list(self.cached.lists._flights._groups.values())
        return sum(len(group.waiting) + sum(map(len, group.flights)) for group in groups)

    def end(self, number: int) -> None:
        self.store.turns[number - 1].set()


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(MANY + 4) as pool:
        yield pool


def fetched_by(answer: TestResponse) -> tuple[int, str | None]:
    """Return the status, and which fetch the list came from."""
    images = answer.get_json().get("images")
    return answer.status_code, images[0]["name"] if images else None


def test_a_request_gets_a_fetch_that_began_after_it(pool: ThreadPoolExecutor) -> None:
    service = Service(pool)
    first = [service.ask() for _ in range(2)]
    service.fetches(2)
    others = [service.ask() for _ in range(MANY)]
    service.waits(MANY)
    service.end(1)
    service.fetches(3)  # by one of those that wait, as soon as a fetch has ended
    late = service.ask()
    service.waits(MANY)
    service.end(2)
    service.fetches(4)
    service.end(4)
    assert (200, "fetch 4") == fetched_by(late.result())
    service.end(3)
    assert {(200, "fetch 1"), (200, "fetch 2")} == {fetched_by(one.result()) for one in first}
    assert {(200, "fetch 3")} == {fetched_by(one.result()) for one in others}
    assert 4 == len(service.store.asked)


@pytest.mark.parametrize("seconds", [0, 60])
def test_nothing_is_kept_for_later_without_the_cache(
    seconds: int, pool: ThreadPoolExecutor
) -> None:
    service = Service(pool, cache_seconds=seconds)
    answers = []
    for number in (1, 2):
        asked = service.ask()
        if number == 1 or not seconds:
            service.fetches(number)
            service.end(number)
        answers.append(fetched_by(asked.result())[1])
    assert ["fetch 1", "fetch 1" if seconds else "fetch 2"] == answers


def test_0_lets_each_request_fetch_its_own(pool: ThreadPoolExecutor) -> None:
    service = Service(pool, shared_lists=0)
    asked = [service.ask() for _ in range(MANY)]
    service.fetches(MANY)
    for number in range(1, MANY + 1):
        service.end(number)
    assert {f"fetch {number}" for number in range(1, MANY + 1)} == {
        fetched_by(one.result())[1] for one in asked
    }


@pytest.mark.parametrize("other", sorted(CALLERS.keys() - {"demo"}))
def test_only_the_same_user_project_roles_and_scope_share(
    other: str, pool: ThreadPoolExecutor
) -> None:
    service = Service(pool, shared_lists=1)
    first = service.ask()
    service.fetches(1)
    second = service.ask(other)
    if other == "demo-again":
        service.waits(1)
    else:
        service.fetches(2)
    service.end(1)
    service.fetches(2)
    service.end(2)
    assert ["fetch 1", "fetch 2"] == [fetched_by(one.result())[1] for one in (first, second)]


@pytest.mark.parametrize("path", [f"{DETAIL}?limit=1", "/v2/demo/images", f"{DETAIL}?name=x"])
def test_another_list_is_another_fetch(path: str, pool: ThreadPoolExecutor) -> None:
    service = Service(pool, shared_lists=1)
    asked = [service.ask(), service.ask(path=path)]
    service.fetches(2)
    service.end(1)
    service.end(2)
    assert [200, 200] == [one.result().status_code for one in asked]


def fail_once(error: Exception) -> Callable[[port.Context], None]:
    turns = iter([error])

    def first(_context: port.Context) -> None:
        for one in turns:
            raise one

    return first


@pytest.mark.parametrize(
    ("error", "statuses"),
    [
        (port.ImageNotAuthenticated("revoked"), [401, 200, 200]),
        (ZeroDivisionError(), [500, 200, 200]),
        (port.ImageServiceUnavailable("down"), [503, 503, 503]),
        (port.ImageServiceFailed("broken"), [500, 500, 500]),
    ],
)
def test_a_failure_is_that_of_all_that_it_serves_unless_it_is_the_requests_own(
    error: Exception, statuses: list[int], pool: ThreadPoolExecutor
) -> None:
    service = Service(pool, shared_lists=1)
    before = service.ask()
    service.fetches(1)
    asked = [service.ask() for _ in range(3)]
    service.waits(3)
    service.end(1)
    assert 200 == before.result().status_code
    service.fetches(2)
    service.store.first = fail_once(error)
    service.end(2)
    if statuses[-1] == 200:
        service.fetches(3)
        service.end(3)
    assert Counter(statuses) == Counter(one.result().status_code for one in asked)


def test_nobody_waits_past_its_own_time(pool: ThreadPoolExecutor) -> None:
    service = Service(pool, shared_lists=1, request_timeout_seconds=0.3)
    first = service.ask()
    service.fetches(1)
    late = service.ask().result()
    assert 503 == late.status_code
    service.end(1)
    assert 200 == first.result().status_code


def test_each_answer_and_log_line_is_the_requests_own(
    pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    service = Service(pool, shared_lists=1)
    asked = [service.ask()]
    service.fetches(1)
    asked += [service.ask(), service.ask("demo-again")]
    service.waits(2)
    service.end(1)
    service.fetches(2)
    service.end(2)
    answers = [one.result() for one in asked]
    assert 3 == len({answer.headers["X-Compute-Request-Id"] for answer in answers})
    assert [None] * 3 == [answer.headers.get("Age") for answer in answers]
    fields: list[Any] = [record.args for record in caplog.records if record.name.endswith("access")]
    assert ["fetched", "fetched", "shared"] == sorted(line["list"] for line in fields)
