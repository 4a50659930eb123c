"""Health checks: whether this process answers, and whether Keystone and Glance do.

Responses have the form of oslo.middleware's: one reason per line, or JSON, with status 503 if
anything fails. A `HEAD` response has only a status.

Source: oslo.middleware 7.0, oslo_middleware/healthcheck/__init__.py and disable_by_file.py.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, request

from nova_image_shim.web.current import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)

blueprint = Blueprint("health", __name__)

_TIMEOUT_SECONDS = 5.0
_FRESH_SECONDS = 1.0
_TYPES = ["text/plain", "application/json"]


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """Report that this process answers: 200 `OK`, or 503 `DISABLED BY FILE`."""
    return _answer([])


@blueprint.get("/healthcheck/ready")
def ready() -> Response:
    """Report whether Keystone and Glance answer: 200 `OK`, or 503 with those that do not."""
    readiness: Readiness = current_app.extensions["readiness"]
    return _answer([f"{name.upper()} NOT READY" for name in readiness.failing()])


def _answer(failures: list[str]) -> Response:
    disable_file = settings().healthcheck_disable_file
    if disable_file and disable_file.exists():
        failures = ["DISABLED BY FILE"]
    if request.method == "HEAD":
        return Response(status=503 if failures else 204, content_type="text/plain; charset=UTF-8")
    kind = request.accept_mimetypes.best_match(_TYPES, default="text/plain")
    reasons = failures or ["OK"]
    body = "\n".join(reasons)
    if kind == "application/json":
        body = json.dumps({"detailed": False, "reasons": reasons}, indent=4)
    return Response(body, 503 if failures else 200, content_type=f"{kind}; charset=UTF-8")


class Readiness:
    """Probes each service that this one depends on, in parallel and at most once a second.

    Args:
        checks: the probes by service name; a probe fails by raising.
        timeout_seconds: how long to wait for the probes.
        fresh_seconds: how long a result is reused.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], object]],
        timeout_seconds: float = _TIMEOUT_SECONDS,
        fresh_seconds: float = _FRESH_SECONDS,
    ) -> None:
        self._checks = checks
        self._timeout_seconds = timeout_seconds
        self._fresh_seconds = fresh_seconds
        self._executor = ThreadPoolExecutor(max(1, len(checks)), "ready")
        self._lock = threading.Lock()
        self._probes: dict[str, Future[object]] = {}
        self._failing: dict[str, str] = {}
        self._probed_at = float("-inf")

    def failing(self) -> list[str]:
        """Return the names of the services that do not answer."""
        # During a probe, other requests get the previous result; before the first one, they wait.
        if self._lock.acquire(blocking=self._probed_at < 0):
            try:
                if time.monotonic() - self._probed_at >= self._fresh_seconds:
                    self._probe()
            finally:
                self._lock.release()
        return list(self._failing)

    def _probe(self) -> None:
        for name, check in self._checks.items():
            # Wait again for a probe that still runs, so that there are never two of a service.
            if name not in self._probes or self._probes[name].done():
                self._probes[name] = self._executor.submit(check)
        wait(self._probes.values(), self._timeout_seconds)
        failing = {name: text for name, probe in self._probes.items() if (text := _failure(probe))}
        for name in failing.keys() | self._failing.keys():
            if failing.get(name) != self._failing.get(name):  # log changes only, not every probe
                _log.warning("%s: %s", name, failing.get(name, "answers again"))
        self._failing, self._probed_at = failing, time.monotonic()


def _failure(probe: Future[object]) -> str | None:
    """Return why a probe failed, or None if it succeeded."""
    if not probe.done():
        return "no answer in time"
    error = probe.exception()
    return f"{type(error).__name__}: {error}" if error else None
