"""Limiter, single-flight and breaker alone; tests/serving has them in the live service."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from adapters.timing import Clock, soon
from nova_image_shim.adapters.limits.breaker import Breaker
from nova_image_shim.adapters.limits.limiter import (
    Limiter,
    LimitExceeded,
    ListTooLarge,
    Room,
    Share,
    Slot,
    Waiting,
)
from nova_image_shim.adapters.limits.single_flight import SingleFlight


def limiter_of(slots: int, queue: int = 0, seconds: float = 0.05) -> Limiter:
    return Limiter("Glance", slots=slots, seconds=seconds, waiting=Waiting(queue))


def test_a_limiter_refuses_when_slots_and_queue_are_full() -> None:
    limiter = limiter_of(2)
    with limiter.slot():
        with limiter.slot(), pytest.raises(LimitExceeded) as refused:
            limiter.acquire()
        assert "0 requests wait already: too many" == str(refused.value)
        limiter.acquire()


def test_a_request_that_waits_too_long_is_refused_and_leaves_the_queue() -> None:
    limiter = limiter_of(1, queue=1)
    with limiter.slot():
        for _ in range(2):  # the second finds the queue empty again
            with pytest.raises(LimitExceeded) as refused:
                limiter.acquire()
            assert "no slot within 0.05 s: 1 requests use Glance" == str(refused.value)
    with limiter.slot():
        pass


def test_a_slot_goes_to_the_request_that_has_waited_longest() -> None:
    limiter = limiter_of(1, queue=8, seconds=10)
    served: list[int] = []

    def wait(number: int) -> None:
        with limiter.slot():
            served.append(number)

    with ThreadPoolExecutor(8) as pool, limiter.slot():
        for number in range(8):
            pool.submit(wait, number)
            soon(lambda: len(limiter._queue) == number + 1)  # noqa: B023
    assert list(range(8)) == served


@pytest.mark.parametrize("error", [None, ValueError])
def test_a_slot_is_released_whatever_happens(error: Any) -> None:
    limiter = limiter_of(1)
    for _ in range(3):
        with ExitStack() as stack:
            if error:
                stack.enter_context(pytest.raises(error))
            stack.enter_context(limiter.slot())
            if error:
                raise error


def test_requests_that_wait_for_others_hold_no_slot_and_are_counted_with_the_queue() -> None:
    limiter = limiter_of(1, queue=2)
    with limiter.waiting(), limiter.waiting():
        with limiter.slot():
            pass
        with pytest.raises(LimitExceeded), limiter.waiting():
            pass
    with limiter.waiting():
        pass


def test_a_request_has_one_slot_from_its_first_call_to_its_end() -> None:
    limiter = limiter_of(1)
    slot = Slot(limiter)
    slot.acquire()
    slot.acquire()
    with pytest.raises(LimitExceeded):
        Slot(limiter).acquire()
    slot.release()
    slot.release()
    with pytest.raises(LimitExceeded, match="the request has ended"):
        slot.acquire()
    with limiter.slot(), pytest.raises(LimitExceeded):
        limiter.acquire()


def test_a_request_without_a_call_takes_no_slot() -> None:
    limiter = limiter_of(1)
    slot = Slot(limiter)
    with limiter.slot():
        slot.release()


def test_no_slot_is_lost_where_turns_come_as_the_waiting_ends() -> None:
    limiter = limiter_of(3, queue=50, seconds=0.002)
    most, inside, lock = 0, 0, threading.Lock()

    def go() -> None:
        nonlocal most, inside
        for _ in range(40):
            try:
                limiter.acquire()
            except LimitExceeded:
                continue
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with lock:
                inside -= 1
            limiter.release()

    with ThreadPoolExecutor(20) as pool:
        for _ in range(20):
            pool.submit(go)
    assert (3, 3, 0, 0) == (most, limiter._free, len(limiter._queue), limiter.waiting._count)


MOST = 2**20


def test_lists_never_wait_for_room_in_a_circle() -> None:
    room = Room(MOST, seconds=60)
    together = threading.Barrier(12)

    def read(number: int) -> int:
        share = Share(room)
        share.take(0)
        together.wait(5)  # each has begun, before any goes on
        for _ in range(16):
            share.take(MOST // 16 - number)
            time.sleep(0)
        share.end(keep=number)
        share.end()
        return share.size

    with ThreadPoolExecutor(12) as pool:
        assert [0] * 12 == list(pool.map(read, range(12)))
    assert (4 * MOST, set()) == (room.free, room.growing)


def shares(room: Room, *sizes: int) -> list[Share]:
    found = [Share(room) for _ in sizes]
    for share, size in zip(found, sizes, strict=True):
        share.take(size)
    return found


def test_room_is_left_for_the_largest_list_to_reach_its_bound() -> None:
    room = Room(MOST, seconds=0.01)
    large, *others = shares(room, MOST // 2, *[MOST // 4] * 10)
    for other in others[:2]:
        other.take(MOST // 4)
    with pytest.raises(LimitExceeded, match=r"^no room for a list within 0\.01 s$") as refused:
        others[2].take(1)
    assert ("1", MOST // 2) == (refused.value.retry_after, room.free)
    large.take(MOST // 2)
    others[3].end(keep=MOST // 8)
    others[4].take(MOST // 8)
    assert 0 == room.free


def test_a_list_of_too_many_bytes_is_not_worth_another_attempt() -> None:
    (share,) = shares(Room(MOST, seconds=60), MOST)
    with pytest.raises(ListTooLarge, match=r"^the list is over 1048576 bytes$") as refused:
        share.take(1)
    assert refused.value.retry_after is None


def test_a_share_whose_request_has_ended_takes_nothing() -> None:
    room = Room(MOST, seconds=60)
    full = shares(room, *[MOST] * 4)
    late = Share(room)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(late.take, 0)
        soon(lambda: bool(room.changed._waiters))  # type: ignore[attr-defined]
        late.end()
    assert isinstance(waiting.exception(), LimitExceeded)
    for share in full:
        share.end()
    with pytest.raises(LimitExceeded, match="the request has ended"):
        late.take(1)
    assert (4 * MOST, set()) == (room.free, room.growing)


def test_no_more_requests_wait_for_room_than_may() -> None:
    limiter = limiter_of(1)
    room = Room(MOST, seconds=60, waiting=limiter.waiting)
    shares(room, *[MOST] * 4)
    with pytest.raises(LimitExceeded, match="too many"):
        Share(room).take(0)


class Held:
    """A call that starts, and ends when it is released."""

    def __init__(self, result: Any = 7) -> None:
        self.started, self.released = threading.Event(), threading.Event()
        self._result = result

    def __call__(self) -> Any:
        self.started.set()
        self.released.wait(5)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def outcome(future: Future[Any]) -> Any:
    return type(future.exception()) if future.exception() else future.result()


def is_value_error(error: BaseException) -> bool:
    return isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("joins", "first", "outcomes"),
    [
        (True, 7, [(7, False), (7, True), (7, True)]),
        (True, KeyError(), [KeyError] * 3),
        (True, ValueError(), [ValueError, (8, False), (8, True)]),
        (False, 7, [(7, False), (8, False), (8, True)]),
        (False, KeyError(), [KeyError, (8, False), (8, True)]),
    ],
)
def test_requests_share_a_call_in_progress_or_the_next_one(
    joins: bool, first: Any, outcomes: list[Any]
) -> None:
    held, waiting = Held(first), Waiting(2)
    flights: SingleFlight[Any] = SingleFlight(waiting, joins=joins, is_own=is_value_error)
    with ThreadPoolExecutor(3) as pool:
        leader = pool.submit(flights.do, "key", held)
        held.started.wait(5)
        assert (9, False) == flights.do("another key", lambda: 9)
        others = [pool.submit(flights.do, "key", lambda: 8) for _ in range(2)]
        soon(lambda: waiting._count == 2)
        soon(lambda: 2 == lined_up(flights))
        held.released.set()
    assert outcomes == [outcome(leader), *sorted(map(outcome, others), key=str)]
    assert {} == flights._groups


def lined_up(flights: SingleFlight[Any], key: str = "key") -> int:
    group = flights._groups[key]
    return len(group.waiting) + sum(map(len, group.flights))


def test_the_request_with_the_most_time_left_makes_the_next_call() -> None:
    flights: SingleFlight[Any] = SingleFlight(Waiting(3))
    held, now = Held(), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        pool.submit(flights.do, "key", held)
        held.started.wait(5)
        others = [
            pool.submit(flights.do, "key", partial(int, left), deadline=now + left)
            for left in (20, 60, 40)
        ]
        soon(lambda: 3 == lined_up(flights))
        held.released.set()
    assert [(60, True), (60, False), (60, True)] == list(map(outcome, others))


def test_a_call_that_outlived_its_own_request_fails_nobody_else() -> None:
    flights: SingleFlight[Any] = SingleFlight(Waiting(1))
    held = Held(KeyError())
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(flights.do, "key", held, deadline=time.monotonic())
        held.started.wait(5)
        other = pool.submit(flights.do, "key", lambda: 8)
        soon(lambda: 1 == lined_up(flights))
        held.released.set()
    assert [KeyError, (8, False)] == list(map(outcome, (leader, other)))


def test_nobody_waits_for_another_past_a_deadline_nor_beyond_the_bound() -> None:
    waiting = Waiting(1)
    flights: SingleFlight[Any] = SingleFlight(waiting)
    held = Held()
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(flights.do, "key", held)
        held.started.wait(5)
        with pytest.raises(TimeoutError):
            flights.do("key", held, deadline=time.monotonic() + 0.01)
        with waiting(), pytest.raises(LimitExceeded):
            flights.do("key", held)
        held.released.set()
        assert (7, False) == leader.result()
    assert {} == flights._groups


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_request_try_at_a_time() -> None:
    clock = Clock()
    breaker = Breaker(failures=3, seconds=1, clock=clock)
    for _ in range(2):
        breaker.failed(OSError("no route"))
    assert (None, False) == (breaker.refusal(), breaker.is_open)
    breaker.succeeded()
    for _ in range(3):
        assert breaker.refusal() is None
        breaker.failed(OSError("no route"))
    reason = "not tried, because 3 connections in a row failed: no route"
    assert (reason, True) == (breaker.refusal(), breaker.is_open)
    clock.now += 1
    assert [None, reason] == [breaker.refusal(), breaker.refusal()]
    breaker.failed(OSError("still none"))
    assert breaker.refusal() == "not tried, because 4 connections in a row failed: still none"
    clock.now += 1
    assert breaker.refusal() is None
    breaker.succeeded()
    assert [None, None, False] == [breaker.refusal(), breaker.refusal(), breaker.is_open]
