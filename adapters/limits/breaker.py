"""Fail fast: try an unreachable service once a second instead of on every request."""

import threading
import time
from collections.abc import Callable


class Breaker:
    """A circuit breaker for the connections to one service; safe for threads.

    `failures` in a row open it; while it is open, there is one attempt every `seconds`.
    pybreaker is not used: it holds a lock during each call, which would serialize the calls.
    """

    def __init__(
        self, failures: int = 5, seconds: float = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self.failures = 0  # in a row; a plain attribute, because every request reads it
        self._try_at = 0.0
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Return whether requests are refused, except for an attempt now and then."""
        return self.failures >= self._limit

    def refusal(self) -> str | None:
        """Return why no connection may be attempted now, None if one may."""
        if not self.is_open:
            return None
        with self._lock:
            now = self._clock()
            if now >= self._try_at:
                self._try_at = now + self._seconds  # only this request tries
                return None
        return f"not tried, because {self.failures} connections in a row failed: {self._reason}"

    def failed(self, error: Exception) -> None:
        """Record that a connection failed."""
        with self._lock:
            self.failures += 1
            self._reason = str(error)
            self._try_at = self._clock() + self._seconds

    def succeeded(self) -> None:
        """Record that a connection succeeded, which closes the breaker."""
        self.failures = 0
