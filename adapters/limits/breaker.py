"""Fail fast: a service that cannot be reached is tried once a second, not by every request."""

import threading
import time
from collections.abc import Callable


class Breaker:
    """A circuit breaker for the connections to one service; safe for threads.

    So many failures in a row open it; then so many seconds pass between two attempts.
    pybreaker is not used: it holds a lock during each call, so that calls run one by one.
    """

    def __init__(
        self, failures: int = 5, seconds: float = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self.failures = 0  # in a row; read without a call on the way of each request
        self._try_at = 0.0
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Return whether requests are refused, except for an attempt now and then."""
        return self.failures >= self._limit

    def refusal(self) -> str | None:
        """Return why no connection may be attempted now, None where one may."""
        if not self.is_open:
            return None
        with self._lock:
            now = self._clock()
            if now >= self._try_at:
                self._try_at = now + self._seconds  # only this request tries
                return None
        return f"not tried, because {self.failures} connections in a row failed: {self._reason}"

    def failed(self, error: Exception) -> None:
        """Note that a connection failed."""
        with self._lock:
            self.failures += 1
            self._reason = str(error)
            self._try_at = self._clock() + self._seconds

    def succeeded(self) -> None:
        """Note that a connection succeeded, which closes the breaker."""
        self.failures = 0
