"""Limit how many requests use a service at the same time, how many wait, and what lists hold.

Each request that waits for Keystone or Glance holds a thread. Their number is bounded here, so
that threads remain for requests that need neither, however slow the two are.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from operator import attrgetter

_FIRST_BYTES = 2**16
_size = attrgetter("size")


class LimitExceeded(Exception):
    """No slot became free in time; `retry_after` is when to retry, in seconds as text."""

    retry_after: str | None = "1"


class Waiting:
    """A bound on the requests of a process that wait, whatever it is that they wait for.

    Each holds a thread. Calling it returns a context in which a request counts as waiting.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Count as waiting within the block.

        Raises:
            LimitExceeded: too many requests wait already.
        """
        with self._lock:
            if self._count >= self._most:
                raise LimitExceeded(f"{self._count} requests wait already: too many")
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1


class Limiter:
    """A number of slots, and a queue for requests that found none free.

    A released slot goes to the request that has waited longest; a request that has waited for
    `seconds` is refused. `name` is the service's, for the log.
    """

    def __init__(self, name: str, *, slots: int, seconds: float, waiting: Waiting) -> None:
        self._name = name
        self._slots = slots
        self._free = slots
        self._seconds = seconds
        self.waiting = waiting
        self._lock = threading.Lock()
        self._queue: deque[threading.Lock] = deque()

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


class ListTooLarge(LimitExceeded):
    """A list has more bytes than one list may have; trying again does not help."""

    retry_after = None


class Room:
    """Room for the bytes of a process's lists: four times what one list may have.

    A list reserves room as it is read. Enough stays free for the largest of them to reach `most`
    bytes. So that one never waits, and lists do not wait for each other in a circle.

    Args:
        most: how many bytes one list may have.
        seconds: how long a list waits for room before it is refused.
        waiting: entered while a list waits; bounds how many do.
    """

    def __init__(
        self,
        most: int,
        *,
        seconds: float,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.most = most
        self.first = min(_FIRST_BYTES, most)  # without which no list begins
        self.free = 4 * most
        self.seconds = seconds
        self.waiting = waiting
        self.changed = threading.Condition()
        self.growing: set[Share] = set()  # of lists that are being read

    def reserve(self, share: "Share") -> bool:
        """Reserve what a share lacks and return True, if the largest can still reach its bound."""
        lacking = max(share.read, self.first) - share.size
        largest = max(share.size + lacking, *map(_size, self.growing), 0)
        if self.free - lacking < self.most - largest:
            return False
        self.growing.add(share)
        self.free -= lacking
        share.size += lacking
        return True

    def wait_for(self, share: "Share") -> None:
        """Reserve what a share lacks as soon as there is room; `changed` is held."""

        def is_done() -> bool:
            return share.is_over or self.reserve(share)

        with self.waiting():
            if not self.changed.wait_for(is_done, self.seconds):
                raise LimitExceeded(f"no room for a list within {self.seconds:g} s")


@dataclass(eq=False, slots=True)
class Share:
    """The room that one request's list has; safe for the threads that read its pages."""

    room: Room
    size: int = 0  # reserved, at least for what was read
    read: int = 0
    is_over: bool = False

    def take(self, count: int) -> None:
        """Count bytes that were read, 0 for a list that begins, and wait for room for them.

        Raises:
            ListTooLarge: the list has more bytes than it may have.
            LimitExceeded: there was no room in time, or the request has ended.
        """
        with self.room.changed:
            self.read += count
            if self.read > self.room.most:
                raise ListTooLarge(f"the list is over {self.room.most} bytes")
            is_enough = 0 < self.size >= self.read
            if not (is_enough or self.is_over or self.room.reserve(self)):
                self.room.wait_for(self)
            if self.is_over:
                raise LimitExceeded("the request has ended")

    def hold(self, size: int) -> None:
        """Reserve room for a list that another request has read. Raises as `take`."""
        # It may be larger than what the image store sent, which is what `most` bounds.
        self.take(min(size, self.room.most))

    def end(self, keep: int = 0) -> None:
        """Return the room, all but what the finished response keeps; nothing more is read."""
        with self.room.changed:
            self.is_over = True
            self.room.growing.discard(self)
            kept = min(keep, self.size)
            self.room.free += self.size - kept
            self.size = kept
            self.room.changed.notify_all()
