"""The cloud's clock, for token expiry and `updated`; a test can move it forward."""

import threading
from datetime import UTC, datetime, timedelta

from nova_image_shim.web.errors import HTTPError


class Clock:
    """The time in UTC, plus the sum of all moves."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the cloud's time, in UTC."""
        return datetime.now(UTC) + self._ahead

    @property
    def ahead_seconds(self) -> float:
        """Return how far the clock is ahead of the machine's."""
        return self._ahead.total_seconds()

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            HTTPError: 400; it would go backward, or beyond the year 9999.
        """
        if not seconds >= 0:
            raise HTTPError(400, "the clock only goes forward: seconds must be at least 0")
        with self._lock:
            try:
                ahead = self._ahead + timedelta(seconds=seconds)
                datetime.now(UTC) + ahead + _MARGIN
            except OverflowError as error:
                raise HTTPError(400, "the clock would go beyond the year 9999") from error
            self._ahead = ahead

    def reset(self) -> None:
        """Return to the machine's time."""
        with self._lock:
            self._ahead = timedelta()


_MARGIN = timedelta(days=366)  # a token issued at the end of time must be able to expire
