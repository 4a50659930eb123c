"""The requests that the embedded cloud received, newest last, without tokens and bodies."""

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from wsgiref.types import WSGIEnvironment

MAX_REQUESTS = 10_000
_LONGEST = 2048  # characters kept of a path, a query or a user agent
_SECRET_LENGTH = 8  # a shorter token is a word such as `demo`, not a secret
_SECRET_HEADERS = ("HTTP_X_AUTH_TOKEN", "HTTP_X_SUBJECT_TOKEN")
_TOKEN_IN_PATH = re.compile(r"(/v2\.0/tokens/)[^/]+")  # Identity v2.0 has them there


@dataclass(slots=True)
class Entry:
    """One request, its path and query as sent.

    Args:
        number: 1, 2, 3 ... in order of arrival; continues after a clear.
        time: of arrival, by the cloud's clock: UTC, ISO 8601 with milliseconds.
        status: of the response; None until there is one, and where a rule closed the connection.
        rule: the id of the fault rule that acted, None for none.
    """

    number: int
    time: str
    method: str
    path: str
    query: str
    user_agent: str
    status: int | None = None
    rule: int | None = None


class Journal:
    """The last requests, at most 10,000, with the times of the cloud's clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=MAX_REQUESTS)
        self._last = 0

    def begin(self, environ: WSGIEnvironment) -> Entry:
        """Add a request that has just arrived; its status is set on the entry later."""
        # Path and query as the client sent them, where the server knows.
        target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"])
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        hide = _hider(environ)
        with self._lock:
            self._last += 1
            entry = Entry(
                self._last,
                time,
                environ["REQUEST_METHOD"],
                hide(target.partition("?")[0]),
                hide(environ.get("QUERY_STRING", "")),
                hide(environ.get("HTTP_USER_AGENT", "")),
            )
            self._entries.append(entry)
        return entry

    def entries(self, after: int = 0, limit: int = MAX_REQUESTS) -> list[dict[str, Any]]:
        """Return the newest requests with a number above `after`, in order of arrival."""
        with self._lock:
            found = [asdict(entry) for entry in self._entries if entry.number > after]
        return found[-limit:]

    def clear(self) -> None:
        """Delete all requests."""
        with self._lock:
            self._entries.clear()


def _hider(environ: WSGIEnvironment) -> Callable[[str], str]:
    """Return a function that removes the request's own tokens from a text and shortens it."""
    secrets = [environ.get(name, "").strip() for name in _SECRET_HEADERS]

    def hide(text: str) -> str:
        text = _TOKEN_IN_PATH.sub(r"\1***", text)
        for secret in secrets:
            if len(secret) >= _SECRET_LENGTH:
                text = text.replace(secret, "***")
        return text[:_LONGEST]

    return hide
