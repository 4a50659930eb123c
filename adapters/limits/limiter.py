"""Limit how many requests use a service at the same time, and how many wait for it.

Each request that waits for Keystone or Glance holds a thread. Their number is bounded here, so
that threads remain for requests that need neither, however slow the two are.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class LimitExceeded(Exception):
    """No slot became free in time; `retry_after` is when to retry, in seconds as text."""

    retry_after = "1"


class Limiter:
    """A number of slots, and a bounded queue for requests that found none free.

    A released slot goes to the request that has waited longest; a request that has waited for
    `seconds` is refused. `name` is the service's, for the log.
    """

    def __init__(self, name: str, *, slots: int, queue: int, seconds: float) -> None:
        self._name = name
        self._slots = slots
        self._free = slots
        self._queue_length = queue
        self._seconds = seconds
        self._lock = threading.Lock()
        self._queue: deque[threading.Lock] = deque()
        self._waiting = 0

    def acquire(self) -> None:
        """Acquire a slot; `release` returns it.

        Raises:
            LimitExceeded: no slot became free in time, or too many requests wait already.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                return
        with self.waiting():
            turn = self._line_up()
            if not turn.acquire(timeout=self._seconds):
                self._give_up(turn)

    def release(self) -> None:
        """Release a slot."""
        with self._lock:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._free += 1

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot within the block. Raises as `acquire`."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count as waiting within the block, for the result of another request; needs no slot.

        Raises:
            LimitExceeded: too many requests wait already.
        """
        used = f"{self._slots} requests use {self._name}"
        with self._lock:
            if self._waiting >= self._queue_length:
                raise LimitExceeded(f"{used} and {self._waiting} more wait: too many")
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _line_up(self) -> threading.Lock:
        """Return a lock that can be acquired when there is a slot for this request."""
        turn = threading.Lock()
        with self._lock:
            if self._free:  # one was released just now
                self._free -= 1
            else:
                turn.acquire()
                self._queue.append(turn)
        return turn

    def _give_up(self, turn: threading.Lock) -> None:
        with self._lock:
            if turn in self._queue:  # otherwise it was given a slot just now
                self._queue.remove(turn)
                raise LimitExceeded(
                    f"no slot within {self._seconds:g} s: {self._slots} requests use {self._name}"
                )


class Slot:
    """The one slot of a request, shared by its threads and held until the request ends.

    A request that has its slot is never refused halfway.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._lock = threading.Lock()
        self._held = False
        self._over = False

    def acquire(self) -> None:
        """Acquire the slot unless it is held already.

        Raises:
            LimitExceeded: as `Limiter.acquire`, or the request has ended.
        """
        with self._lock:
            if self._over:
                raise LimitExceeded("the request has ended")
            if not self._held:
                self._limiter.acquire()
                self._held = True

    def release(self) -> None:
        """Release the slot for good."""
        with self._lock:
            self._over = True
            if self._held:
                self._held = False
                self._limiter.release()
