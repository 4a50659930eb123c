"""WSGI middleware that records requests and applies fault rules to them."""

import contextlib
import errno
import re
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NoReturn
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Request
from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_input_stream

from nova_image_shim.api.errors import fault_response
from nova_image_shim.auth.caller import Authenticate, Unauthenticated
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.control.rules import Asked
from nova_image_shim.fakecloud.image.service import glance_error
from nova_image_shim.fakecloud.seed import OWN_WORDS
from nova_image_shim.identity_v2.responses import keystone_error
from nova_image_shim.web.errors import Render

_PROJECT = re.compile(rf"/(?:v1\.1|v2|v2\.1)/(?!(?:{'|'.join(OWN_WORDS)})(?:/|\Z))([^/]+)")

# What probes and browsers load by themselves: health, the page at /docs and its files, an icon.
_NOT_A_CLIENTS = re.compile(r"/healthcheck(/live)?|/docs(/.*)?|/openapi\.json|/favicon\.ico")

GARBAGE = b'{"this is not JSON": \x00\xff'


class FaultInjector:
    """Record the requests of an application's clients, and let fault rules spoil some responses."""

    def __init__(self, app: Flask, cloud: FakeCloud) -> None:
        self._context = app.request_context
        self._app = app.wsgi_app
        self._authenticate: Authenticate = app.extensions["fake_authenticate"]
        self._renderer_for: Callable[[str], Render] = app.extensions["renderer_for"]
        self._journal = cloud.journal
        self._rules = cloud.fault_rules
        self._names = {project.id: project.name for project in cloud.seed.projects}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, by a fault if a rule matches."""
        if _NOT_A_CLIENTS.fullmatch(environ["PATH_INFO"]):
            return self._app(environ, start_response)
        entry = self._journal.begin(environ)

        def start(status: str, *args: Any) -> Any:
            self._journal.end(entry, environ, int(status[:3]))
            return start_response(status, *args)

        rule = self._rules.take(self._asked(environ))
        if rule is None:
            return self._app(environ, start)
        entry.rule = rule.number
        return self._apply(rule.wanted, environ, start)

    def _asked(self, environ: WSGIEnvironment) -> Asked:
        return Asked(
            environ["REQUEST_METHOD"],
            _path(environ),
            environ.get("HTTP_USER_AGENT", ""),
            environ.get("QUERY_STRING", ""),
            EnvironHeaders(environ),
            self._projects(environ),
        )

    def _projects(self, environ: WSGIEnvironment) -> Collection[str]:
        """Return id and name of the caller's project, nothing for a caller without one."""
        match = _PROJECT.match(_path(environ))
        try:
            caller = self._authenticate(Request(environ), match and match[1])
        except Unauthenticated:
            return ()
        known = caller.project_id
        return (known, self._names.get(known, known)) if known else ()

    def _apply(
        self, wanted: Any, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        time.sleep(wanted.get("latency_seconds", 0))
        if "close" in wanted:
            _hang_up(environ)
        if "status" in wanted:
            with self._context(environ):
                render = self._renderer_for(_path(environ))
                response = _fault(render, wanted["status"], wanted.get("retry_after"))
            _read_body(environ)
        elif "body" not in wanted:
            return self._app(environ, start_response)
        else:
            response = Response.from_app(self._app, environ, buffered=True)
        if wanted.get("body") == "garbage":
            response.set_data(GARBAGE)
            response.headers.pop("Content-Encoding", None)
        if wanted.get("body") == "cut":
            return _cut(response, environ, start_response)
        return response(environ, start_response)


def _path(environ: WSGIEnvironment) -> str:
    """Return the percent-decoded path."""
    path: str = environ["PATH_INFO"]
    return path.encode("latin-1").decode(errors="replace")


def _fault(render: Render, status: int, retry_after: str | None) -> Response:
    """Return an error in the form of the service that the path belongs to."""
    if render is fault_response and status != 401:  # keystonemiddleware answers 401 for Nova
        return fault_response(status, retry_after=retry_after)
    if render is glance_error:
        response: Response = glance_error(status, HTTP_STATUS_CODES[status])
    else:
        response = keystone_error(status)
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
    return response


def _read_body(environ: WSGIEnvironment) -> None:
    """Read the unused body: a close with unread bytes would reset the connection."""
    stream = get_input_stream(environ)
    while stream.read(2**16):
        pass


def _cut(
    response: Response, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterator[bytes]:
    """Send the whole head and half of the body, then close the connection."""
    data = response.get_data()
    start_response(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
    yield data[: len(data) // 2]
    _hang_up(environ)


def _hang_up(environ: WSGIEnvironment) -> NoReturn:
    """Close the connection below the server, which sees it as closed by the client."""
    sock = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError(errno.ECONNRESET, "a fault rule closed the connection")
