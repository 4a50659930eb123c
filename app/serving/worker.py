"""gunicorn's threaded worker with deadlines, so that slow clients cannot hold its threads.

gunicorn sets no time limit on reading a request or writing its response: a client that sends or
reads a byte now and then could hold a thread for hours. It closes connections in its main loop,
where a client that does not close its own side delays all others for 2 s. It ends if it cannot
accept a connection. And while it shuts down it still listens, but no longer serves.
"""

import contextlib
import errno
import logging
import select
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from nova_image_shim.observability.redaction import redact_unread

_log = logging.getLogger(__name__)

# How long a thread waits for a new connection's first byte before it returns the connection to the
# main loop. gunicorn's default of 5 s lets silent connections occupy every thread.
_FIRST_BYTE_SECONDS = 0.05
# How long a thread waits for the next request on a connection. A longer wait would delay the first
# requests of others; a client that sends requests in a loop needs less, even on a busy machine.
_NEXT_REQUEST_MILLISECONDS = 20
# How long a worker that stops waits for a silent connection, as long as for a kept one.
_STOP_SECONDS = 2.0
# Nothing is left to hold a connection with; the client waits in the backlog.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE_SECONDS = 0.05


class _ClientSocket(socket.socket):
    """A socket that ignores a change to its own mode, because each one gives up the interpreter."""

    def settimeout(self, value: float | None) -> None:
        if value != self.gettimeout():
            super().settimeout(value)

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)


class _Listener:
    """A listening socket as gunicorn's worker uses it."""

    def __init__(self, listener: Any) -> None:
        self.getsockname = listener.getsockname
        self._accept = listener.accept

    def accept(self) -> tuple[_ClientSocket, Any]:
        found, address = self._accept()
        return _ClientSocket(found.family, found.type, found.proto, found.detach()), address


def worker_class(head_seconds: float, whole_seconds: float) -> type[ThreadWorker]:
    """Return a worker class that disconnects slow clients.

    A request's head may take `head_seconds` from its first byte; the rest, with the application
    and the response, `whole_seconds`.
    """
    bounds = {"head_seconds": head_seconds, "whole_seconds": whole_seconds}
    return type("BoundedWorker", (_BoundedWorker,), bounds)


class _BoundedWorker(ThreadWorker):  # type: ignore[misc] # the library has no types
    head_seconds: float
    whole_seconds: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadlines: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """Serve a connection's requests, in a thread, and close it after the last one.

        Returns True if the main loop should wait for another request.
        """
        fresh = not (conn.initialized or conn.data_ready)
        if fresh and not conn.wait_for_data(_FIRST_BYTE_SECONDS):
            return _DEFER
        try:
            keep_open = self._handle_one(conn)
            while keep_open is True and self._has_next_request(conn):
                keep_open = self._handle_one(conn)
            if keep_open is False:
                conn.close(graceful=True)
                conn.close = lambda **_: None  # it is closed
            return keep_open
        finally:
            self._deadlines.pop(conn, None)

    def _handle_one(self, conn: Any) -> Any:
        self._deadlines[conn] = time.monotonic() + self.head_seconds
        return super().handle(conn)

    def _has_next_request(self, conn: Any) -> bool:
        """Wait briefly for the connection's next request unless others wait for a thread."""
        if not self.alive or self.tpool._work_queue.qsize():  # noqa: SLF001 - no public way
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(_NEXT_REQUEST_MILLISECONDS))

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request after its head has been read."""
        self._deadlines[conn] = time.monotonic() + self.whole_seconds
        return super().handle_request(req, conn)

    def accept(self, listener: Any) -> None:
        """Accept a connection; one that the system cannot hold now waits a moment longer."""
        try:
            super().accept(_Listener(listener))
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            time.sleep(_PAUSE_SECONDS)

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to the threads; close it if not even one thread can be started."""
        try:
            super().enqueue_req(conn)
        except RuntimeError as error:
            _log.warning("a connection was closed: %s", error)
            self.nr_conns -= 1
            conn.close()

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Take a connection back from its thread; a silent one waits as long as a slow one.

        gunicorn would wait for `keepalive`, and drop a silent connection while the worker stops.
        """
        if fs.cancelled() or fs.exception() or fs.result() is not _DEFER:
            super().finish_request(conn, fs)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self._silent_seconds()
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _silent_seconds(self) -> float:
        return self.head_seconds if self.alive else min(self.head_seconds, _STOP_SECONDS)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Refuse a request that cannot be read; log and response quote no token from it."""
        if isinstance(exc, ParseException):
            for name, value in vars(exc).items():
                if isinstance(value, str | bytes):
                    text = value if isinstance(value, str) else value.decode("latin-1")
                    setattr(exc, name, redact_unread(text))
        super().handle_error(req, client, addr, exc)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting connections, and stop listening when the worker ends.

        gunicorn would listen until its last response, and clients that connect in the meantime
        would wait in vain. Connections made earlier are still served, and silent ones soon closed.
        """
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                self._accept_pending(listener)
                listener.close()
            latest = time.monotonic() + self._silent_seconds()
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, latest)

    def _accept_pending(self, listener: Any) -> None:
        before = -1
        while before < self.nr_conns < self.worker_connections:
            before = self.nr_conns
            self.accept(listener)  # returns at once if no client is waiting

    def notify(self) -> None:
        """Report that the worker is alive, about once a second, and disconnect late clients."""
        super().notify()
        now = time.monotonic()
        for conn, deadline in list(self._deadlines.items()):
            if now > deadline and self._deadlines.pop(conn, 0):
                self._disconnect(conn)

    def _disconnect(self, conn: Any) -> None:
        client = conn.client[0] if conn.client else "-"
        _log.info("%s was too slow to send its request or read its response: disconnected", client)
        with contextlib.suppress(OSError):
            conn.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closes the connection
