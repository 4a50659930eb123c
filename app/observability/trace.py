"""What is known of a request while it runs, its ids, and its one log line."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nova_image_shim.observability.client_families import Client, client_of

if TYPE_CHECKING:
    from flask import Request, Response

    from nova_image_shim.adapters.image_port import Call

ACCESS_LOGGER = "nova_image_shim.access"
_log = logging.getLogger(ACCESS_LOGGER)

# oslo.middleware's rule for an id that another service may send.
_REQUEST_ID = re.compile(r"req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")
_LONGEST_AGENT = 256
_MOST_IDS = 16
UNROUTED = "none"
_NOBODY = client_of("")


@dataclass(slots=True)
class Trace:
    """One request, as its log lines and the metrics tell of it.

    Args:
        request_id: ours, answered in both request-id headers.
        client_request_id: the client's, where it sent a good one, else empty.
        token: the client's, kept only so that it can be struck out of every log line.
        user_agent, client: how the client names itself, and what that comes to.
        user_id, project_id: who asks, `-` until known.
        call: what is asked for, `images.detail` for one; `none` for a path that leads nowhere.
        token_cached: whether the token was known, None where none was looked up.
        keystone_calls: method, status (0 where no answer came) and seconds of each.
        calls: each call to the image store.
        pages, images: of a list, how many; None for what is no list.
        list_cached: whether that list was kept from an earlier request.
        brownout: whether it was refused to rehearse the end of the service.
        started: on `time.monotonic()`'s clock.
    """

    request_id: str
    client_request_id: str = ""
    token: str = ""
    user_agent: str = ""
    client: Client = _NOBODY
    user_id: str = "-"
    project_id: str = "-"
    call: str = UNROUTED
    token_cached: bool | None = None
    keystone_calls: list[tuple[str, int, float]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    pages: int | None = None
    images: int | None = None
    list_cached: bool = False
    brownout: bool = False
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, request: Request) -> Trace:
        """Begin the trace of a request."""
        environ = request.environ
        inbound = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        agent = environ.get("HTTP_USER_AGENT", "")[:_LONGEST_AGENT]
        return cls(
            request_id=f"req-{uuid.uuid4()}",
            client_request_id=inbound if _REQUEST_ID.fullmatch(inbound) else "",
            token=environ.get("HTTP_X_AUTH_TOKEN", "").strip(),
            user_agent=agent,
            client=client_of(agent),
            call=_call_of(request.endpoint),
        )


_NO_REQUEST = Trace("-")
CURRENT: ContextVar[Trace] = ContextVar("trace", default=_NO_REQUEST)


def count_keystone_call(method: str, status: int, seconds: float) -> None:
    """Take note of a call made to Keystone for the current request, if there is one."""
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
    """Write the one line that each request gets: Nova's own form, then what Nova's lacks."""
    if not _log.isEnabledFor(logging.INFO):
        return
    trace, environ = CURRENT.get(), request.environ
    ids = [call.request_id for call in trace.calls[:_MOST_IDS] if call.request_id]
    fields: dict[str, Any] = {
        "remote": request.remote_addr or "-",
        "method": request.method,
        "target": environ.get("RAW_URI") or request.full_path,
        "protocol": environ.get("SERVER_PROTOCOL", "-"),
        "status": response.status_code,
        "length": response.headers.get("Content-Length", "-"),
        "seconds": seconds,
        "glance_calls": len(trace.calls),
        "glance_seconds": sum(call.seconds for call in trace.calls),
        "keystone_calls": len(trace.keystone_calls),
        "call": trace.call,
        "images": "-" if trace.images is None else trace.images,
        "client": str(trace.client),
        "glance_request_ids": ",".join(ids) or "-",
        "user_agent": trace.user_agent.replace('"', "'"),
    }
    _log.info(ACCESS_LINE, fields)


# What a client chose freely is last, so that nothing in it can pass for one of the other fields.
ACCESS_LINE = (
    '%(remote)s "%(method)s %(target)s %(protocol)s" status: %(status)d len: %(length)s '
    "time: %(seconds).7f glance_calls: %(glance_calls)d glance_time: %(glance_seconds).7f "
    "keystone_calls: %(keystone_calls)d call: %(call)s images: %(images)s client: %(client)s "
    'glance_ids: %(glance_request_ids)s agent: "%(user_agent)s"'
)
