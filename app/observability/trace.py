"""The trace of the current request, and the access log line made from it."""

import logging
import random
import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

from flask import Request, Response

from nova_image_shim.adapters.image_port import Call
from nova_image_shim.observability.client_families import Client, client_of

ACCESS_LOGGER = "nova_image_shim.access"
_log = logging.getLogger(ACCESS_LOGGER)

# oslo.middleware's rule for an id that another service may send.
_REQUEST_ID = re.compile(r"req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")
_MAX_GLANCE_IDS = 16
UNROUTED = "none"
LOGIN_CALL = "identity_v2.issue"
_TOKEN_IN_PATH = re.compile(r"(.*/v2\.0/tokens/).+", re.DOTALL)  # of identity v2.0
_NO_CLIENT = client_of("")


@dataclass(slots=True)
class Trace:
    """Facts about one request for its log lines and the metrics."""

    request_id: str  # ours, returned in both request-id headers
    client_request_id: str = ""  # the client's if it sent a valid one
    token: str = ""  # accepted by Keystone; held only to redact it from log lines
    user_agent: str = ""
    client: Client = _NO_CLIENT
    user_id: str = "-"  # the caller's; `-` before authentication
    project_id: str = "-"
    call: str = UNROUTED  # blueprint and view, such as `images.detail`
    token_cached: bool | None = None  # None if no token was looked up
    # Method, status (0 for no response) and seconds.
    keystone_calls: list[tuple[str, int, float]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)  # to the image store
    pages: int | None = None  # Glance's pages of a list; None for other calls
    images: int | None = None
    list_source: str | None = None  # of a list: `fetched`, `shared` or `cached`
    brownout: bool = False  # whether a brownout refused the request
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Start the trace of a request."""
        environ = request.environ
        inbound = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        agent = environ.get("HTTP_USER_AGENT", "")
        return cls(
            request_id=f"req-{_new_uuid()}",
            client_request_id=inbound if _REQUEST_ID.fullmatch(inbound) else "",
            user_agent=agent,
            client=client_of(agent),
            call=_call_of(request.endpoint),
        )


def _new_uuid() -> uuid.UUID:
    """Return a UUID of version 4; `uuid4` asks the system for it and gives up the interpreter."""
    return uuid.UUID(int=random.getrandbits(128), version=4)


_NO_REQUEST = Trace("-")
CURRENT: ContextVar[Trace] = ContextVar("trace", default=_NO_REQUEST)


def end_trace() -> None:
    """Forget the request that has ended: the thread's next lines are not about it."""
    CURRENT.set(_NO_REQUEST)


def count_keystone_call(method: str, status: int, seconds: float) -> None:
    """Record a call to Keystone in the current request's trace, if there is one."""
    trace = CURRENT.get()
    if trace is not _NO_REQUEST:
        trace.keystone_calls.append((method, status, seconds))


@lru_cache(maxsize=256)
def _call_of(endpoint: str | None) -> str:
    """Return a call's name: blueprint and view, without the mount between them."""
    if endpoint is None:
        return UNROUTED
    blueprint, dot, view = endpoint.rpartition(".")
    return f"{blueprint.partition(' ')[0]}{dot}{view}"


def log_access(request: Request, response: Response, seconds: float) -> None:
    """Log a request's one access line: Nova's fields first, then ours."""
    if not _log.isEnabledFor(logging.INFO):
        return
    trace, environ = CURRENT.get(), request.environ
    ids = [call.request_id for call in trace.calls[:_MAX_GLANCE_IDS] if call.request_id]
    fields: dict[str, Any] = {
        "remote": as_word(request.remote_addr or ""),
        "method": request.method,
        "target": as_word(_target_of(request)),
        "protocol": as_word(environ.get("SERVER_PROTOCOL", "")),
        "status": response.status_code,
        "length": response.headers.get("Content-Length", "-"),
        "seconds": seconds,
        "glance_calls": len(trace.calls),
        "glance_seconds": sum(call.seconds for call in trace.calls),
        "keystone_calls": len(trace.keystone_calls),
        "call": trace.call,
        "images": "-" if trace.images is None else trace.images,
        "list": trace.list_source or "-",
        "client": str(trace.client),
        "glance_request_ids": as_word(",".join(ids)),
        "user_agent": trace.user_agent.replace('"', "'"),
    }
    # Not `info`, which searches the stack for its caller.
    _log.handle(_log.makeRecord(_log.name, logging.INFO, __file__, 0, ACCESS_LINE, (fields,), None))


def _target_of(request: Request) -> str:
    """Return what was requested, without the token that a path of identity v2.0 has."""
    if "/tokens/" in request.path and (match := _TOKEN_IN_PATH.fullmatch(request.path)):
        return f"{match[1]}***"
    return str(request.environ.get("RAW_URI") or request.full_path)


def as_word(text: str) -> str:
    """Return a text as one word of a line: blanks and quotation marks as in URLs, `-` for none."""
    if " " in text or '"' in text:
        text = text.replace(" ", "%20").replace('"', "%22")
    return text or "-"


# The User-Agent is last because clients choose it freely: it cannot imitate another field there.
ACCESS_LINE = (
    '%(remote)s "%(method)s %(target)s %(protocol)s" status: %(status)d len: %(length)s '
    "time: %(seconds).7f glance_calls: %(glance_calls)d glance_time: %(glance_seconds).7f "
    "keystone_calls: %(keystone_calls)d call: %(call)s images: %(images)s list: %(list)s "
    'client: %(client)s glance_ids: %(glance_request_ids)s agent: "%(user_agent)s"'
)
