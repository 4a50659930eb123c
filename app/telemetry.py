"""What is known of a request while it runs, its ids, its log line, and logging as a whole."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Request, Response

_log = logging.getLogger("nova_image_shim.access")

# oslo.middleware's rule for an id that another service may send.
_REQUEST_ID = re.compile(r"req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET_LENGTH = 8  # a shorter token is a word such as `demo`, and no secret


@dataclass(slots=True)
class Trace:
    """One request, as its log lines tell of it.

    Args:
        request_id: ours, answered in both request-id headers.
        global_request_id: the client's, where it sent a good one, else ours; told to Glance.
        token: the client's, kept only so that it can be struck out of every log line.
        user_id, project_id: who asks, `-` until known.
        call_seconds: the time of each call to the image store.
        started: on `time.monotonic()`'s clock.
    """

    request_id: str
    global_request_id: str
    token: str = ""
    user_id: str = "-"
    project_id: str = "-"
    call_seconds: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, request: Request) -> Trace:
        """Begin the trace of a request."""
        own = f"req-{uuid.uuid4()}"
        inbound = request.headers.get("X-OpenStack-Request-Id", "")
        return cls(
            request_id=own,
            global_request_id=inbound if _REQUEST_ID.fullmatch(inbound) else own,
            token=request.headers.get("X-Auth-Token", "").strip(),
        )


_NO_REQUEST = Trace("-", "-")
CURRENT: ContextVar[Trace] = ContextVar("trace", default=_NO_REQUEST)


def log_access(request: Request, response: Response) -> None:
    """Write the one line that each request gets, in the form of Nova's own."""
    trace = CURRENT.get()
    target = request.environ.get("RAW_URI") or request.full_path
    _log.info(
        '%s "%s %s %s" status: %d len: %s time: %.7f glance_calls: %d glance_time: %.7f',
        request.remote_addr or "-",
        request.method,
        target,
        request.environ.get("SERVER_PROTOCOL", "-"),
        response.status_code,
        response.headers.get("Content-Length", "-"),
        time.monotonic() - trace.started,
        len(trace.call_seconds),
        sum(trace.call_seconds),
    )


class RequestFormatter(logging.Formatter):
    """OpenStack's line: time, process, level, logger, `[request id user project]`, message.

    The message's control characters are escaped, so that nothing a client or a service sent can
    begin a line of its own, and the request's token is struck out of all of it.
    """

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(request)s] %(message)s",
            "%Y-%m-%d %H:%M:%S",
        )

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add who asks, and escape."""
        trace = CURRENT.get()
        record.request = f"{trace.request_id} {trace.user_id} {trace.project_id}"
        record.message = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Format, tracebacks included, and strike the token out."""
        line = super().format(record)
        token = CURRENT.get().token
        return line.replace(token, "***") if len(token) >= _SECRET_LENGTH else line


def logging_config(level: str) -> dict[str, object]:
    """Return the `logging.config` dictionary: everything to standard error, from `level` on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"openstack": {"()": RequestFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "openstack"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            # gunicorn brings handlers of its own unless told not to.
            # At DEBUG it tells paths before it is known which token has to be struck out of them.
            "gunicorn.error": {
                "level": "INFO" if level == "DEBUG" else level,
                "propagate": True,
                "handlers": [],
            },
            "gunicorn.access": {"level": level, "propagate": False, "handlers": []},
            # At DEBUG it tells whole answers, and an error may tell a token back.
            "keystoneauth": {"level": "INFO" if level == "DEBUG" else level},
        },
    }
