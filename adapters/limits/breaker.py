"""Failing fast: a service that cannot be reached is tried once a second, not by every request."""

from __future__ import annotations

import threading
import time

_FAILURES = 5  # one after another, before the service counts as out of reach
_SECONDS = 1.0  # between two tries from then on


class Breaker:
    """What is known of a service's connections; safe for threads.

    pybreaker is not used: it holds one lock around each call, so that calls go one by one.

    Args:
        failures: how many failed connections in a row close the way.
        seconds: how long after each it stays closed but for one try.
    """

    def __init__(self, failures: int = _FAILURES, seconds: float = _SECONDS) -> None:
        self._limit = failures
        self._seconds = seconds
        self._lock = threading.Lock()
        self._failures = 0
        self._try_at = 0.0
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Tell whether requests are refused at present, but for a try now and then."""
        return self._failures >= self._limit

    def refusal(self) -> str | None:
        """Return why no connection may be made now, None where one may."""
        if not self.is_open:
            return None
        with self._lock:
            now = time.monotonic()
            if now >= self._try_at:
                self._try_at = now + self._seconds  # this one tries; the others are refused
                return None
        return f"not tried, since {self._failures} connections in a row failed: {self._reason}"

    def failed(self, error: Exception) -> None:
        """Take note that no connection could be made."""
        with self._lock:
            self._failures += 1
            self._reason = str(error)
            self._try_at = time.monotonic() + self._seconds

    def succeeded(self) -> None:
        """Take note that there was a connection: all may go on."""
        self._failures = 0
