"""One call for many requests, by default with a result that is newer than each of them."""

import math
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class _Request(Future[Any]):
    """A request that waits: its result is a call's, or a `_Flight` whose call it is to make."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline


class _Flight(list[_Request]):
    """A call in progress, as the other requests that it serves."""

    __eq__ = object.__eq__  # two calls that serve nobody else are not the same
    __hash__ = object.__hash__  # type: ignore[assignment]


@dataclass(eq=False, slots=True)
class _Group:
    """The calls and the requests with one key."""

    flights: list[_Flight] = field(default_factory=list)
    waiting: list[_Request] = field(default_factory=list)  # for the next call


class SingleFlight(Generic[_T]):
    """Calls in progress, by key.

    A request whose key has fewer than `calls` in progress makes its call at once. Others wait for
    the next call. As soon as one ends, the request with the most time left makes the next one, for
    all that wait by then. So each result is newer than the requests that get it.

    Args:
        waiting: entered while a request waits; bounds how many do.
        calls: how many calls with one key are in progress at a time.
        joins: whether requests share a call in progress instead, which began before them.
        is_own: tells an error that concerns only the request that made the call, as every error
            does once its deadline has passed. The others wait for the next call.
    """

    def __init__(
        self,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        calls: int = 1,
        joins: bool = False,
        is_own: Callable[[BaseException], bool] = lambda _error: False,
    ) -> None:
        self._waiting = waiting
        self._calls = calls
        self._joins = joins
        self._is_own = is_own
        self._groups: dict[Hashable, _Group] = {}
        self._lock = threading.Lock()

    def do(
        self, key: Hashable, call: Callable[[], _T], *, deadline: float = math.inf
    ) -> tuple[_T, bool]:
        """Return the result of a call, and whether another request made it.

        Args:
            key: equal for requests that may share a result.
            call: makes the call.
            deadline: the `time.monotonic()` at which the request stops waiting.

        Raises:
            TimeoutError: there was no result by the deadline.
            Exception: whatever the call raised, or `waiting`.
        """
        flight = self._begin(key)
        if flight is None:
            with self._waiting():
                found = self._wait(key, deadline)
            if not isinstance(found, _Flight):
                return found, True
            flight = found
        try:
            result = call()
        except BaseException as error:
            is_own = time.monotonic() >= deadline or self._is_own(error)
            self._end(key, flight, error=error, is_own=is_own)
            raise
        self._end(key, flight, result)
        return result, False

    def _begin(self, key: Hashable, request: _Request | None = None) -> _Flight | None:
        """Return the flight of a call to make now; without one, the request lines up."""
        with self._lock:
            group = self._groups.setdefault(key, _Group())
            if len(group.flights) < self._calls:
                group.flights.append(flight := _Flight())
                return flight
            if request:
                (group.flights[-1] if self._joins else group.waiting).append(request)
            return None

    def _wait(self, key: Hashable, deadline: float) -> Any:
        request = _Request(deadline)
        if (flight := self._begin(key, request)) is not None:  # a call has ended meanwhile
            return flight
        try:
            return request.result(min(deadline - time.monotonic(), threading.TIMEOUT_MAX))
        except TimeoutError:
            with self._lock:
                if request.cancel():
                    raise
        return request.result()  # it came just now

    def _end(
        self,
        key: Hashable,
        flight: _Flight,
        result: Any = None,
        *,
        error: BaseException | None = None,
        is_own: bool = False,
    ) -> None:
        """Give the result of a call to the requests that it serves, and let the next one begin."""
        with self._lock:
            group = self._groups[key]
            group.flights.remove(flight)
            if is_own:
                group.waiting += flight
            elif flight:
                _deliver(flight, result, error)
            if group.waiting:
                _begin_next(group)
            if not group.flights:
                del self._groups[key]


def _deliver(flight: _Flight, result: Any, error: BaseException | None) -> None:
    for request in flight:
        if request.cancelled():
            continue
        if error:
            request.set_exception(error)
        else:
            request.set_result(result)


def _begin_next(group: _Group) -> None:
    waiting = [request for request in group.waiting if not request.cancelled()]
    group.waiting = []
    if waiting:
        leader = max(waiting, key=attrgetter("deadline"))
        waiting.remove(leader)
        group.flights.append(flight := _Flight(waiting))
        leader.set_result(flight)
