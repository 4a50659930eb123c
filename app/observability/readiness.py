"""Whether the services that this one needs answer."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

_log = logging.getLogger(__name__)

_PROBE_SECONDS = 5.0
_FRESH_SECONDS = 1.0


class Readiness:
    """Runs checks, each in a thread of its own and at most once a second.

    Args:
        checks: by name; a check that raises has failed.
        probe_seconds: how long to wait for a check.
        fresh_seconds: how long its result is used.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], object]],
        probe_seconds: float = _PROBE_SECONDS,
        fresh_seconds: float = _FRESH_SECONDS,
    ) -> None:
        self._checks = checks
        self._probe_seconds = probe_seconds
        self._fresh_seconds = fresh_seconds
        self._executor = ThreadPoolExecutor(max(1, len(checks)), "ready")
        self._lock = threading.Lock()
        self._probes: dict[str, Future[object]] = {}
        self._failing: dict[str, str] = {}
        self._found = float("-inf")

    def failing(self) -> list[str]:
        """Return the names of the checks that fail."""
        # While one request runs the checks, all others get the last result; the first ones wait.
        if self._lock.acquire(blocking=self._found < 0):
            try:
                if time.monotonic() - self._found >= self._fresh_seconds:
                    self._probe()
            finally:
                self._lock.release()
        return list(self._failing)

    def _probe(self) -> None:
        for name, check in self._checks.items():
            # A check that is still running is waited for again: there is never a second one.
            if name not in self._probes or self._probes[name].done():
                self._probes[name] = self._executor.submit(check)
        wait(self._probes.values(), self._probe_seconds)
        probes = self._probes.items()
        failing = {name: text for name, probe in probes if (text := _failure(probe))}
        for name in failing.keys() | self._failing.keys():
            if failing.get(name) != self._failing.get(name):  # once, and not on every request
                _log.warning("%s: %s", name, failing.get(name, "answers again"))
        self._failing, self._found = failing, time.monotonic()


def _failure(probe: Future[object]) -> str | None:
    """Return why a check failed, None if it did not."""
    if not probe.done():
        return "no answer in time"
    error = probe.exception()
    return f"{type(error).__name__}: {error}" if error else None
