"""What a service was asked, read from the log that the hooks in its `gunicorn.conf.py` write.

Not gunicorn's own access log: its line comes only after the response, so that a test that counts
right after an answer would now and then miss it. Here a request also leaves a line when it begins,
and reading waits for its end.
"""

import time
from pathlib import Path
from typing import NamedTuple

# The harness's own requests carry this and are never counted.
USER_AGENT = "real-cloud"

SETTLE_SECONDS = 2

# The lines: a start of the service (requests cut off by a stop have no end), a request's begin,
# and its end.
STARTED = "="
BEGUN = "+"
ENDED = "-"

# Two requests that read and then write in one transaction each make sqlite refuse one of them at
# once, "database is locked", whatever its timeout: oslo.db begins transactions without saying that
# they will write. So a request that may write waits for its turn; reads go on in parallel.
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
    """A request that a service has answered; status 0 means that it was cut off before that."""

    method: str
    path: str  # as sent, with its query
    status: int
    user_agent: str


class CallLog:
    """The calls made to one service, in the order in which they ended."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hooks(self) -> str:
        """Return the part of `gunicorn.conf.py` that writes this log."""
        return HOOKS.format(log=str(self._path))

    def calls(self, wait: bool = True) -> list[Call]:
        """Return every call but the harness's own.

        Args:
            wait: for requests under way, up to `SETTLE_SECONDS`; their clients may have their
                answers already.
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
