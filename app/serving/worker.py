"""gunicorn's threaded worker, which no client holds up for ever, and a quick one finds waiting.

gunicorn reads a request's head and body, and writes its answer, with no bound of time: a client
that sends or reads a byte now and then would keep a thread for hours. It closes connections in the
one loop that serves all, where it waits 2 s for a client that does not close its own side. And when
it stops it goes on to listen without serving.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from typing import Any

from gunicorn.workers.gthread import _DEFER, ThreadWorker

_log = logging.getLogger(__name__)

# How long a thread waits for a new connection's first byte before the main loop does; gunicorn's
# own 5 s let connections that say nothing take all threads.
_FIRST_BYTE_SECONDS = 0.05
# How long it waits on a connection that goes on. More would keep threads from others' first
# requests; a client that asks for one list after another takes less.
_NEXT_MILLISECONDS = 2


def worker_class(head_seconds: float, whole_seconds: float) -> type[ThreadWorker]:
    """Return a worker that cuts off clients which take too long.

    Args:
        head_seconds: for a request's head, from its first byte.
        whole_seconds: for the rest: body, the application's own time, taking the answer.
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
        """Read requests, answer them, and close the connection after the last: in a thread.

        True is returned where more may come: the main loop waits for that.
        """
        fresh = not (conn.initialized or conn.data_ready)
        if fresh and not conn.wait_for_data(_FIRST_BYTE_SECONDS):
            return _DEFER
        try:
            goes_on = self._handle_one(conn)
            while goes_on is True and self._asks_again(conn):
                goes_on = self._handle_one(conn)
            if goes_on is False:
                conn.close(graceful=True)
                conn.close = _closed_already
            return goes_on
        finally:
            self._deadlines.pop(conn, None)

    def _handle_one(self, conn: Any) -> Any:
        self._deadlines[conn] = time.monotonic() + self.head_seconds
        return super().handle(conn)

    def _asks_again(self, conn: Any) -> bool:
        """Wait a moment for a connection's next request; not where another waits for a thread."""
        if not self.alive or self.tpool._work_queue.qsize():  # noqa: SLF001 - it tells no other way
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(_NEXT_MILLISECONDS))

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head is read."""
        self._deadlines[conn] = time.monotonic() + self.whole_seconds
        return super().handle_request(req, conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; for good where the worker ends.

        gunicorn would keep listening until the last answer, so that whoever came meanwhile would
        wait for nothing. Those who came before are served.
        """
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                self._accept_rest(listener)
                listener.close()

    def _accept_rest(self, listener: Any) -> None:
        before = -1
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)  # nothing where nobody waits

    def notify(self) -> None:
        """Say that the worker lives, which it does about once a second, and cut who is late."""
        super().notify()
        now = time.monotonic()
        for conn, deadline in list(self._deadlines.items()):
            if now > deadline and self._deadlines.pop(conn, 0):
                self._cut(conn)

    def _cut(self, conn: Any) -> None:
        client = conn.client[0] if conn.client else "-"
        _log.info("%s took too long to send its request or take its answer: cut", client)
        with contextlib.suppress(OSError):
            conn.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closes it


def _closed_already(*, graceful: bool = False) -> None:
    """Take the place of a connection's own `close`."""
