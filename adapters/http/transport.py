"""A transport for requests that bounds the time, size and retries of a call.

requests bounds the time between two bytes only: a service that sends a byte now and then would
occupy a thread forever. Here every read from the socket ends at one deadline.
"""

import io
import math
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Timeout

from nova_image_shim.adapters.limits.breaker import Breaker

Record = Callable[[str, int, float], None]

# Each read gives up the interpreter, and may wait to get it back.
_CHUNK_BYTES = 2**20
_BUFFER_BYTES = 2**17  # the head and a short list at once
_LONGEST_SECONDS = 86400  # the longest timeout that a socket takes is not far above


class AnswerTooLargeError(requests.RequestException):
    """The answer holds more bytes than is allowed."""


class UnreachableError(requests.ConnectionError):
    """No connection was tried, because the last ones failed."""


class Bounds(Timeout):
    """The time-outs of one call; `count` is called with the size of each piece of its answer."""

    count: Callable[[int], None] | None = None


class _Exchange(threading.local):
    """The current exchange of a thread: its deadline, and whether an answer has begun."""

    deadline = math.inf
    answered = False


_exchange = _Exchange()


class _DeadlineReader(io.RawIOBase):
    """A socket as `http.client` reads it; every read ends at the deadline of the exchange."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _BUFFER_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _exchange.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer as a whole took too long")
        usual = self._sock.gettimeout()
        # Setting a timeout releases the interpreter's lock, which costs this thread its turn.
        shortened = usual is None or usual > left
        if shortened:
            self._sock.settimeout(min(left, _LONGEST_SECONDS))
        try:
            count = self._raw.readinto(buffer)
        finally:
            if shortened:
                self._sock.settimeout(usual)
        _exchange.answered = _exchange.answered or bool(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _response(sock: Any, *args: Any, **kwargs: Any) -> HTTPResponse:
    return HTTPResponse(_DeadlineReader(sock), *args, **kwargs)  # type: ignore[arg-type]


def _bounded(pool: Any) -> Any:
    """Return a class of pools like another one, whose connections read up to the deadline."""
    base, reading = pool.ConnectionCls, {"response_class": staticmethod(_response)}
    connection = type(f"Bounded{base.__name__}", (base,), reading)
    return type(f"Bounded{pool.__name__}", (pool,), {"ConnectionCls": connection})


_POOLS = {"http": _bounded(HTTPConnectionPool), "https": _bounded(HTTPSConnectionPool)}


class BoundedTransport(HTTPAdapter):
    """A requests transport that reads whole answers, within bounds.

    With `repeat_get` a GET is sent once more if the connection was refused, or closed before the
    first byte of the answer, as a kept-alive connection is that the other side has just closed.
    Nothing else is repeated: the other side may have begun it.

    While `breaker` is open, one request a second tries to connect and the others fail at once.

    Args:
        max_bytes: the most bytes of a body, decoded.
        total_seconds: the most time for one exchange; a call's own `Bounds` may have a
            smaller total.
        pool_maxsize: how many connections to one host are kept.
        repeat_get: whether a GET may be sent once more.
        record: called after each call with method, status (0 without an answer) and seconds.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        total_seconds: float,
        pool_maxsize: int,
        repeat_get: bool = False,
        record: Record | None = None,
    ) -> None:
        self.breaker = Breaker()
        self._record = record
        self._repeat_get = repeat_get
        self._max_bytes = max_bytes
        self._total_seconds = total_seconds
        super().__init__(pool_connections=4, pool_maxsize=pool_maxsize)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools whose connections read up to the deadline."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request and return its answer, body read.

        Errors of `Bounds.count` end the exchange and are passed on.

        Raises:
            AnswerTooLargeError: the body is larger than allowed.
            UnreachableError: the breaker is open.
            requests.RequestException: no connection, no answer in time, or a broken one.
        """
        if self.breaker.failures and (reason := self.breaker.refusal()):
            raise UnreachableError(reason, request=request)
        bounds = kwargs.get("timeout")
        own: Any = bounds.total if isinstance(bounds, Timeout) else None
        started = time.monotonic()
        _exchange.deadline = started + min(own or math.inf, self._total_seconds)
        _exchange.answered = False
        status = 0
        try:
            response = self._send(request, *args, **kwargs)
            status = response.status_code
            return response
        finally:
            _exchange.deadline = math.inf
            if self._record:
                self._record(request.method or "", status, time.monotonic() - started)

    def _send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._attempt(request, *args, **kwargs)
        except requests.ConnectionError as error:
            if not (self._repeat_get and request.method == "GET" and _never_answered(error)):
                raise
            return self._attempt(request, *args, **kwargs)

    def _attempt(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Make one exchange and report to the breaker whether there was a connection."""
        try:
            response = super().send(request, *args, **kwargs)
            with response:
                self._read(response, kwargs.get("timeout"))
        except HTTPError as error:  # while the body was read
            self.breaker.succeeded()
            raise requests.exceptions.ChunkedEncodingError(error, request=request) from error
        except requests.RequestException as error:
            if reason := _unconnected(error):
                self.breaker.failed(reason)
            else:
                self.breaker.succeeded()
            raise
        if self.breaker.failures:
            self.breaker.succeeded()
        return response

    def _read(self, response: requests.Response, bounds: object) -> None:
        count = bounds.count if isinstance(bounds, Bounds) else None
        chunks: list[bytes] = []
        left = self._max_bytes
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            if count:
                count(len(chunk))
            left -= len(chunk)
            if left < 0:
                raise AnswerTooLargeError(f"the answer is over {self._max_bytes} bytes")
            chunks.append(chunk)
        response._content = b"".join(chunks)  # noqa: SLF001
        response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001


def _unconnected(error: requests.RequestException) -> Exception | None:
    """Return why no connection could be made, None if there was one.

    Errors on a connection do not count: a client could cause them.
    """
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    made_none = isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError)
    return reason if made_none or isinstance(reason, NewConnectionError) else None


def _never_answered(error: requests.ConnectionError) -> bool:
    """Return whether a connection was refused, or closed before the first byte of an answer."""
    other_cause = isinstance(error, requests.Timeout | requests.exceptions.SSLError)
    return not (other_cause or _exchange.answered)
