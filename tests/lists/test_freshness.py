"""Shared lists are never older than their requests: random arrivals, failures and writes."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from adapters.timing import soon
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_image_shim.adapters.limits.limiter import Waiting
from nova_image_shim.adapters.limits.single_flight import SingleFlight

MOST = 12


class Own(Exception):
    """A failure of the request that makes the call."""


class Down(Exception):
    """A failure of the service that is called."""


@dataclass(eq=False)
class Call:
    """A call in progress, which the test ends."""

    maker: "Asked"
    version: int  # of the data when it began
    outcome: Future[int] = field(default_factory=Future)


@dataclass(eq=False)
class Asked:
    """A request: what was written before it came, and what it got."""

    version: int
    deadline: float
    future: Future[Any] = field(default_factory=Future)
    made: list[Call] = field(default_factory=list)


class World:
    """Requests with one key, and the calls that they make."""

    def __init__(self, calls: int, pool: ThreadPoolExecutor) -> None:
        self.version = 0
        self.calls = calls
        self.waiting = Waiting(MOST)
        self.flights: SingleFlight[int] = SingleFlight(
            self.waiting, calls=calls, is_own=lambda error: isinstance(error, Own)
        )
        self.pool = pool
        self.asked: list[Asked] = []
        self.in_progress: list[Call] = []
        self.lock = threading.Lock()

    def arrive(self, seconds: float) -> None:
        asked = Asked(self.version, time.monotonic() + seconds)
        self.asked.append(asked)

        def call() -> int:
            made = Call(asked, self.version)
            asked.made.append(made)
            with self.lock:
                self.in_progress.append(made)
            return made.outcome.result(10)

        asked.future = self.pool.submit(self.flights.do, "key", call, deadline=asked.deadline)
        self.settle()

    def end(self, which: int, error: type[Exception] | None) -> None:
        if not self.in_progress:
            return
        with self.lock:
            call = self.in_progress.pop(which % len(self.in_progress))
        if error:
            call.outcome.set_exception(error())
        else:
            call.outcome.set_result(call.version)
        soon(call.maker.future.done)
        self.settle()

    def settle(self) -> None:
        """Wait until every request calls, waits or is done, and calls are made if any waits."""

        def is_settled() -> bool:
            left = sum(not asked.future.done() for asked in self.asked)
            group = self.flights._groups.get("key")
            waiting, flights = (group.waiting, group.flights) if group else ([], [])
            busy = len(self.in_progress)
            lined_up = len(waiting) + sum(map(len, flights))
            return left == lined_up + busy and (busy == self.calls or not waiting)

        soon(is_settled)


ARRIVE = st.tuples(st.just("arrive"), st.integers(60, 90))
END = st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from([None, None, Own, Down]))
STEPS = st.lists(st.one_of(ARRIVE, ARRIVE, END, st.just(("write",))), max_size=30)


@pytest.fixture(scope="module")
def pool() -> Any:
    with ThreadPoolExecutor(MOST) as pool:
        yield pool


@settings(max_examples=60, deadline=None)
@given(calls=st.integers(1, 3), steps=STEPS)
def test_a_result_is_newer_than_its_request_and_every_request_gets_one(
    calls: int, steps: list[tuple[Any, ...]], pool: ThreadPoolExecutor
) -> None:
    world = World(calls, pool)
    for name, *rest in steps:
        if name == "arrive" and sum(not asked.future.done() for asked in world.asked) < MOST:
            world.arrive(*rest)
        elif name == "end":
            world.end(*rest)
        elif name == "write":
            world.version += 1
    while world.in_progress:
        world.end(0, None)
    assert {} == world.flights._groups
    assert 0 == world.waiting._count
    for asked in world.asked:
        error = asked.future.exception()
        if isinstance(error, Own):
            assert asked.made[-1].outcome.exception() is error  # its own, nobody else's
        elif error is None:
            version, is_shared = asked.future.result()
            assert version >= asked.version
            assert is_shared == (not asked.made)
