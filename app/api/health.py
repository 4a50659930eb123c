"""Whether this process answers, and whether what it needs does.

The form is oslo.middleware's: a word for each reason, in plain text or JSON; 503 where something
is wrong; `HEAD` has a status only.

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

_LOOK_SECONDS = 5.0
_FRESH_SECONDS = 1.0
_TYPES = ["text/plain", "application/json"]


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """Tell that this process answers: 200 `OK`, 503 `DISABLED BY FILE`; nothing else is asked."""
    return _answer([])


@blueprint.get("/healthcheck/ready")
def ready() -> Response:
    """Tell whether Keystone and Glance answer: 200 `OK`, 503 and which of them does not."""
    readiness: Readiness = current_app.extensions["readiness"]
    return _answer([f"{name.upper()} NOT READY" for name in readiness.failing()])


def _answer(wrong: list[str]) -> Response:
    disable_file = settings().healthcheck_disable_file
    if disable_file and disable_file.exists():
        wrong = ["DISABLED BY FILE"]
    if request.method == "HEAD":
        return Response(status=503 if wrong else 204, content_type="text/plain; charset=UTF-8")
    kind = request.accept_mimetypes.best_match(_TYPES, default="text/plain")
    reasons = wrong or ["OK"]
    body = "\n".join(reasons)
    if kind == "application/json":
        body = json.dumps({"detailed": False, "reasons": reasons}, indent=4)
    return Response(body, 503 if wrong else 200, content_type=f"{kind}; charset=UTF-8")


class Readiness:
    """Looks at what the service needs, each in a thread of its own, and at most once a second.

    Args:
        checks: what to look at, by its name; one that raises has failed.
        look_seconds: how long a look is waited for.
        fresh_seconds: how long what was found is told again.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], object]],
        look_seconds: float = _LOOK_SECONDS,
        fresh_seconds: float = _FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._look_seconds = look_seconds
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._executor = ThreadPoolExecutor(max(1, len(checks)), "ready")
        self._lock = threading.Lock()
        self._looks: dict[str, Future[object]] = {}
        self._failing: dict[str, str] = {}
        self._found = float("-inf")

    def failing(self) -> list[str]:
        """Return the names of what does not answer."""
        # While one looks, all others are told what was found before; the first ones wait.
        if self._lock.acquire(blocking=self._found < 0):
            try:
                if self._clock() - self._found >= self._fresh_seconds:
                    self._look()
            finally:
                self._lock.release()
        return list(self._failing)

    def _look(self) -> None:
        for name, check in self._checks.items():
            # A look that is still under way is waited for again: there is never a second one.
            if name not in self._looks or self._looks[name].done():
                self._looks[name] = self._executor.submit(check)
        wait(self._looks.values(), self._look_seconds)
        failing = {name: text for name, look in self._looks.items() if (text := _fault(look))}
        for name in failing.keys() | self._failing.keys():
            if failing.get(name) != self._failing.get(name):  # once, and not with each probe
                _log.warning("%s: %s", name, failing.get(name, "answers again"))
        self._failing, self._found = failing, self._clock()


def _fault(look: Future[object]) -> str | None:
    """Return what went wrong, None if nothing did."""
    if not look.done():
        return "no answer in time"
    error = look.exception()
    return f"{type(error).__name__}: {error}" if error else None
