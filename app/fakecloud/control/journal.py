"""The requests that the embedded cloud received, newest last, without tokens and passwords."""

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.datastructures import EnvironHeaders

MAX_REQUESTS = 10_000
_LONGEST = 2048  # characters kept of a path, a query or a user agent
DETAILED_REQUESTS = 1000  # the newest, which keep headers and bodies
_MOST_HEADERS = 50
_LONGEST_HEADER = 512
_LONGEST_BODY = 8192  # bytes
_SECRET_LENGTH = 8  # a shorter token is a word such as `demo`, not a secret
_SECRET_HEADERS = ("HTTP_X_AUTH_TOKEN", "HTTP_X_SUBJECT_TOKEN")
_SECRETS = {"X-Auth-Token", "X-Subject-Token", "X-Service-Token", "Authorization"}
_LOGIN = re.compile(r"/(identity|v3|v2\.0)(/.*)?")  # bodies there are passwords and tokens
_TOKEN_IN_PATH = re.compile(r"(/v2\.0/tokens/)[^/]+")  # Identity v2.0 has them there


@dataclass(slots=True)
class Entry:
    """One request, its path and query as sent.

    Args:
        number: 1, 2, 3 ... in order of arrival; continues after a clear.
        time: of arrival, by the cloud's clock: UTC, ISO 8601 with milliseconds.
        status: of the response; None until there is one, and where a rule closed the connection.
        rule: the id of the fault rule that acted, None for none.
        headers: as sent; empty for older requests.
        body: JSON as far as the service read it; None for other bodies and older requests.
        body_bytes: how much of the body the service read.
    """

    number: int
    time: str
    method: str
    path: str
    query: str
    user_agent: str
    status: int | None = None
    rule: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    body_bytes: int = 0


class _Body:
    """A request's body that remembers the beginning of what is read."""

    def __init__(self, body: Any) -> None:
        self._body, self._first, self.size = body, bytearray(), 0

    def read(self, *size: int) -> bytes:
        data: bytes = self._body.read(*size)
        self._first += data[: _LONGEST_BODY - len(self._first)]
        self.size += len(data)
        return data

    def text(self) -> str:
        return self._first.decode(errors="replace")


class Journal:
    """The last requests, at most 10,000, with the times of the cloud's clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=MAX_REQUESTS)
        self._last = 0

    def begin(self, environ: WSGIEnvironment) -> Entry:
        """Add a request that has just arrived, to which `end` adds the rest."""
        # Path and query as the client sent them, where the server knows.
        target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"])
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        hide = _hider(environ)
        environ["wsgi.input"] = _Body(environ.get("wsgi.input"))
        with self._lock:
            self._last += 1
            entry = Entry(
                self._last,
                time,
                environ["REQUEST_METHOD"],
                hide(target.partition("?")[0]),
                hide(environ.get("QUERY_STRING", "")),
                hide(environ.get("HTTP_USER_AGENT", "")),
                headers={
                    name: "***" if name in _SECRETS else hide(value or "", _LONGEST_HEADER)
                    for name, value in list(EnvironHeaders(environ))[:_MOST_HEADERS]
                },
            )
            self._entries.append(entry)
            if len(self._entries) > DETAILED_REQUESTS:
                older = self._entries[-DETAILED_REQUESTS - 1]
                older.headers, older.body = {}, None
        return entry

    def end(self, entry: Entry, environ: WSGIEnvironment, status: int) -> None:
        """Add the status, and the body as far as the service has read it."""
        body = environ["wsgi.input"]
        with self._lock:
            entry.status, entry.body_bytes = status, body.size
            if body.size and "json" in environ.get("CONTENT_TYPE", ""):
                is_login = _LOGIN.fullmatch(environ["PATH_INFO"])
                entry.body = "***" if is_login else _hider(environ)(body.text(), _LONGEST_BODY)

    def entries(self, after: int = 0, limit: int = MAX_REQUESTS) -> list[dict[str, Any]]:
        """Return the newest requests with a number above `after`, in order of arrival."""
        with self._lock:
            found = [asdict(entry) for entry in self._entries if entry.number > after]
        return found[-limit:]

    def clear(self) -> None:
        """Delete all requests."""
        with self._lock:
            self._entries.clear()


def _hider(environ: WSGIEnvironment) -> Callable[..., str]:
    """Return a function that removes the request's own tokens from a text and shortens it."""
    secrets = [environ.get(name, "").strip() for name in _SECRET_HEADERS]

    def hide(text: str, longest: int = _LONGEST) -> str:
        text = _TOKEN_IN_PATH.sub(r"\1***", text)
        for secret in secrets:
            if len(secret) >= _SECRET_LENGTH:
                text = text.replace(secret, "***")
        return text[:longest]

    return hide
