"""The gate and the breaker on their own; `test_load.py` has them in the live service."""

from __future__ import annotations

import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from nova_image_shim.adapters.limits.breaker import Breaker
from nova_image_shim.adapters.limits.limiter import Gate, NoPlaceError

if TYPE_CHECKING:
    from collections.abc import Callable


def gate_of(places: int, queue: int = 0, seconds: float = 0.1) -> Gate:
    return Gate("Glance", places=places, queue=queue, seconds=seconds)


def soon(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_so_many_come_in_and_the_next_when_one_has_left() -> None:
    gate = gate_of(2)
    with gate.enter():
        with gate.enter(), pytest.raises(NoPlaceError) as refused:
            gate.enter()
        assert "2 requests wait for Glance and 0 more for a place: too many" == str(refused.value)
        gate.enter()


def test_who_waits_too_long_is_refused_and_leaves_the_queue() -> None:
    gate = gate_of(1, queue=1)
    with gate.enter():
        for _ in range(2):  # the second finds the queue empty again
            started = time.monotonic()
            with pytest.raises(NoPlaceError) as refused:
                gate.enter()
            assert 0.1 <= time.monotonic() - started < 1
            assert "no place within 0.1 s: 1 requests wait for Glance" == str(refused.value)
    with gate.enter():
        pass


def test_a_place_goes_to_whoever_waited_longest() -> None:
    gate = gate_of(1, queue=8, seconds=10)
    served: list[int] = []

    def wait(number: int) -> None:
        with gate.enter():
            served.append(number)

    with ThreadPoolExecutor(8) as pool, gate.enter():
        for number in range(8):
            pool.submit(wait, number)
            soon(lambda: len(gate._queue) == number + 1)  # noqa: B023
    assert list(range(8)) == served


@pytest.mark.parametrize("error", [None, ValueError])
def test_a_place_is_given_back_whatever_happens(error: Any) -> None:
    gate = gate_of(1)
    for _ in range(3):
        with ExitStack() as stack:
            if error:
                stack.enter_context(pytest.raises(error))
            stack.enter_context(gate.enter())
            if error:
                raise error


def test_a_visit_is_one_place_from_its_first_call_to_its_end() -> None:
    gate = gate_of(1)
    with gate.visit():
        with gate.enter(), gate.enter():
            pass
        with ThreadPoolExecutor(1) as pool:  # another request, in its own thread
            assert isinstance(pool.submit(gate.enter).exception(), NoPlaceError)
    with gate.enter():
        pass


def test_a_visit_without_a_call_takes_no_place() -> None:
    gate = gate_of(1)
    with gate.visit(), gate.visit(), gate.enter():
        pass


def test_a_visits_threads_share_its_place_and_take_none_after_it() -> None:
    gate = gate_of(1)
    with gate.visit(), ThreadPoolExecutor(1) as pool:
        context = contextvars.copy_context()
        pool.submit(context.run, gate.enter).result()
        gate.enter()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(context.run, gate.enter).exception()
    assert "the request is over" == str(late)
    with gate.enter():
        pass


def test_a_visit_to_one_gate_is_none_to_another() -> None:
    glance, keystone = gate_of(1), gate_of(1)
    with glance.visit():
        with keystone.enter():
            pass
        with keystone.enter():
            pass


def test_no_place_is_lost_where_turns_come_as_the_waiting_ends() -> None:
    gate = gate_of(3, queue=50, seconds=0.002)
    most, inside, lock = 0, 0, threading.Lock()

    def go() -> None:
        nonlocal most, inside
        for _ in range(60):
            try:
                place = gate.enter()
            except NoPlaceError:
                continue
            with place:
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.001)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=go) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (3, 3, 0) == (most, gate._free, len(gate._queue))


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try_at_a_time() -> None:
    breaker = Breaker(failures=3, seconds=0.1)
    for _ in range(2):
        breaker.failed(OSError("no route"))
    assert (None, False) == (breaker.refusal(), breaker.is_open)
    breaker.succeeded()
    for _ in range(3):
        assert breaker.refusal() is None
        breaker.failed(OSError("no route"))
    reason = "not tried, since 3 connections in a row failed: no route"
    assert (reason, True) == (breaker.refusal(), breaker.is_open)
    time.sleep(0.11)
    assert [None, reason] == [breaker.refusal(), breaker.refusal()]
    breaker.failed(OSError("still none"))
    assert breaker.refusal() == "not tried, since 4 connections in a row failed: still none"
    time.sleep(0.11)
    assert breaker.refusal() is None
    breaker.succeeded()
    assert [None, None, False] == [breaker.refusal(), breaker.refusal(), breaker.is_open]
