"""A log handler that never waits long for whoever reads standard error.

A reader that stalls must not stall requests. Lines that find no room in the queue, or that cannot
be written, are dropped and counted.
"""

import logging
import os
import select
import threading
import time
from queue import SimpleQueue
from typing import ClassVar

_log = logging.getLogger(__name__)

_STDERR = 2
_MOST_LINES = 2000  # in the queue, each below 4096 bytes
_WAIT_SECONDS = 0.1  # for the reader, where there is no thread
_CLOSE_SECONDS = 1.0
# In which lines gather: each time the thread wakes up, a request loses its turn.
_PAUSE_SECONDS = 0.02


class LogWriter(logging.Handler):
    """Writes each line to a file descriptor with one call.

    A worker writes from a thread, see `start_writing`. gunicorn's master starts no thread, because
    it forks, and waits a moment for the reader.
    """

    dropped: ClassVar[int] = 0  # by this process
    _counting = threading.Lock()

    def __init__(self, descriptor: int = _STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reported = LogWriter.dropped

    def start(self) -> None:
        """Write from a thread from now on."""
        self._thread = threading.Thread(target=self._write_queue, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's line, or write it if there is no thread."""
        try:
            line = f"{self.format(record)}\n".encode()
        except Exception:  # noqa: BLE001 - a record with the wrong arguments fails no request
            self._drop()
            return
        if self._thread is None:
            self._write(line, _WAIT_SECONDS)
        elif self._lines.qsize() < _MOST_LINES:
            self._lines.put(line)
        else:
            self._drop()

    def close(self) -> None:
        """Write what is queued, unless that takes too long."""
        super().close()
        if self._thread:
            self._lines.put(b"")
            self._thread.join(_CLOSE_SECONDS)
            self._thread = None

    def _write_queue(self) -> None:
        while line := self._lines.get():
            self._write(line)
            if self._lines.empty():
                time.sleep(_PAUSE_SECONDS)

    def _write(self, line: bytes, seconds: float | None = None) -> None:
        try:
            while line and select.select([], [self._descriptor], [], seconds)[1]:
                line = line[os.write(self._descriptor, line) :]
        except OSError:  # a full disk, a reader that has gone
            pass
        if line:
            self._drop()
        elif self._lines.empty():
            self._report()

    def _drop(self) -> None:
        with LogWriter._counting:
            LogWriter.dropped += 1

    def _report(self) -> None:
        if lost := LogWriter.dropped - self._reported:
            self._reported += lost
            _log.warning("%d log lines were dropped: they could not be written in time", lost)


def start_writing() -> None:
    """Have this process write its log from a thread."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogWriter):
            handler.start()
