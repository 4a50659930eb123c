"""Count the calls to a service from a log that hooks in its `gunicorn.conf.py` write.

gunicorn's access log is not enough: it writes its line after the response, so a test that counts
right after a response would sometimes miss it. These hooks also log the start of a request, and the
reader waits for its end.
"""

import time
from pathlib import Path
from typing import NamedTuple

# Marks the harness's own requests, which are not counted.
USER_AGENT = "real-cloud"

SETTLE_SECONDS = 2

# The lines: a start of the service (requests cut off by a stop have no end line), the start of a
# request, and its end.
STARTED = "="
BEGUN = "+"
ENDED = "-"

# If two requests each read and then write in a transaction, sqlite refuses one of them immediately
# with "database is locked", because oslo.db does not announce writes when a transaction begins.
# Therefore writing requests run one at a time; reads run in parallel.
HOOKS = f'''
import os
import threading

_writing = threading.Lock()
_log = os.open({{log!r}}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _write(*fields):
    os.write(_log, ("\\t".join(fields) + "\\n").encode())


def on_starting(server):
    _write("{STARTED}")


def pre_request(worker, req):
    _write("{BEGUN}")
    if req.method not in ("GET", "HEAD"):
        _writing.acquire()


def post_request(worker, req, environ, resp):
    if req.method not in ("GET", "HEAD"):
        _writing.release()
    status = str(resp.status).split()[0] if resp is not None and resp.status else "0"
    agent = environ.get("HTTP_USER_AGENT", "")
    _write("{ENDED}", environ.get("REQUEST_METHOD", ""), environ.get("RAW_URI", ""), status, agent)
'''


class Call(NamedTuple):
    """A request to a service; status 0 means that it was cut off before a response."""

    method: str
    path: str  # as sent, with its query
    status: int
    user_agent: str


class CallLog:
    """The calls to one service, in the order in which they ended."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hooks(self) -> str:
        """Return the part of `gunicorn.conf.py` that writes this log."""
        return HOOKS.format(log=str(self._path))

    def calls(self, wait: bool = True) -> list[Call]:
        """Return all calls except those of the harness.

        Args:
            wait: wait up to `SETTLE_SECONDS` for running requests, even if their clients already
                have the responses.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            under_way, calls = _parse(self._lines())
            if not (wait and under_way) or time.monotonic() > deadline:
                return calls
            time.sleep(0.005)

    def _lines(self) -> list[str]:
        text = self._path.read_text(errors="replace") if self._path.exists() else ""
        return text.split("\n")[:-1]


def _parse(lines: list[str]) -> tuple[int, list[Call]]:
    under_way = 0
    calls = []
    for line in lines:
        kind, *fields = line.split("\t", 4)
        if kind == STARTED:
            under_way = 0
        elif kind == BEGUN:
            under_way += 1
        else:
            under_way -= 1
            method, path, status, agent = fields
            if not agent.startswith(USER_AGENT):
                calls.append(Call(method, path, int(status), agent))
    return under_way, calls
