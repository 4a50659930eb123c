"""One call for many requests: those that ask while it is running wait for its result."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """Calls in progress, by key; `waiting` bounds how many requests wait for another's."""

    def __init__(self, waiting: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._waiting = waiting
        self._flights: dict[Hashable, Future[_T]] = {}
        self._lock = threading.Lock()

    def do(
        self,
        key: Hashable,
        call: Callable[[], _T],
        *,
        seconds: float | None = None,
        retry: bool = False,
    ) -> tuple[_T, bool]:
        """Return the result of a call, and whether another request made it.

        Args:
            key: equal for requests that may share a result.
            call: makes the call.
            seconds: how long to wait for another request's result, None for as long as it takes.
            retry: make the call again if another request's failed.

        Raises:
            TimeoutError: another request's call took too long.
            Exception: whatever the call raised, or `waiting`.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                own = self._flights[key] = Future()
        if flight is None:
            return self._lead(key, own, call), False
        with self._waiting():
            error = flight.exception(seconds)
        if error is None:
            return flight.result(), True
        if retry:
            return call(), False
        raise error

    def _lead(self, key: Hashable, flight: Future[_T], call: Callable[[], _T]) -> _T:
        try:
            result = call()
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]
