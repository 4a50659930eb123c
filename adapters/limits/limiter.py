"""The door to a service that others are slow to leave: so many at once, so many waiting.

Each request that waits for Keystone or Glance holds a thread. Here their number is bounded, so
that threads remain for what needs neither, however long those two take.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class NoPlaceError(Exception):
    """Nobody left in time; `retry_after` is when to come again, in seconds as text."""

    retry_after = "1"


class Gate:
    """A number of places, and a queue in which those wait who found none.

    The queue is bounded, too, since who waits there holds a thread. A place that becomes free
    goes to whoever has waited longest.

    Args:
        name: the service's, for the log.
        places: how many may be inside.
        queue: how many may wait.
        seconds: how long one of them waits.
    """

    def __init__(self, name: str, *, places: int, queue: int, seconds: float) -> None:
        self._name = name
        self._places = places
        self._free = places
        self._queue_length = queue
        self._seconds = seconds
        self._lock = threading.Lock()
        self._queue: deque[threading.Lock] = deque()

    def enter(self) -> AbstractContextManager[None]:
        """Take a place, and return what gives it back: `with gate.enter(): ...`.

        Within a visit it is given back when that ends.

        Raises:
            NoPlaceError: none became free in time, or too many wait already.
        """
        visit = _VISIT.get()
        if visit is not None and visit.gate is self:
            visit.enter()
            return _KEPT
        self.take()
        return _Place(self)

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Make all places that are taken within the block one, kept until the block's end.

        Threads that run in a copy of this context share it. What has begun is so never refused
        halfway.
        """
        visit = _Visit(self)
        token = _VISIT.set(visit)
        try:
            yield
        finally:
            _VISIT.reset(token)
            visit.end()

    def take(self) -> None:
        """Take a place that is given back by `leave`. Raises as `enter`."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._queue) >= self._queue_length:
                raise NoPlaceError(
                    f"{self._places} requests wait for {self._name} and {len(self._queue)} "
                    "more for a place: too many"
                )
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        if not turn.acquire(timeout=self._seconds):
            self._give_up(turn)

    def _give_up(self, turn: threading.Lock) -> None:
        with self._lock:
            if turn in self._queue:  # else a place was handed over this very moment
                self._queue.remove(turn)
                raise NoPlaceError(
                    f"no place within {self._seconds:g} s: {self._places} requests wait for "
                    f"{self._name}"
                )

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._free += 1


class _Place:
    """A place that is given back at the end of a block."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        self._gate.leave()


class _Visit:
    """The one place of a request, asked for by its threads."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._lock = threading.Lock()
        self._inside = False
        self._over = False

    def enter(self) -> None:
        with self._lock:
            if self._over:
                raise NoPlaceError("the request is over")
            if not self._inside:
                self.gate.take()
                self._inside = True

    def end(self) -> None:
        with self._lock:
            self._over = True
            if self._inside:
                self.gate.leave()


_KEPT = nullcontext()
_VISIT: ContextVar[_Visit | None] = ContextVar("visit", default=None)
