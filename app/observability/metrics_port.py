"""A separate port for Prometheus, served by one extra thread in each worker.

gunicorn's master opens the socket and the workers inherit it. Any worker can answer a scrape for
all of them, from the files that they share, and does so even while its whole thread pool is busy.
The master starts no thread, since forking a process with threads is unsafe. The service's own
port does not serve metrics.
"""

import io
import logging
import os
import socket
import threading
from functools import cache
from socketserver import BaseServer, ThreadingMixIn
from typing import TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from nova_image_shim.adapters.address import Address
from nova_image_shim.observability.metrics_files import Collector, MetricsFiles

_log = logging.getLogger(__name__)

_SOCKET_VARIABLE = "NOVA_IMAGE_SHIM_METRICS_FD"
_SCRAPE_SECONDS = 10
_BACKLOG = 16


class MetricsPort:
    """The port and the files behind it, for the lifetime of gunicorn's master."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self.files = MetricsFiles()

    def open(self, uid: int, gid: int) -> None:
        """Listen, and prepare the files for workers of that user and group.

        Raises:
            OSError: the address is in use or not local.
        """
        self._socket = _inherited_socket() or _listen(self._address)
        self.files.open(uid, gid)

    def hand_over(self, environ: dict[str, str]) -> None:
        """Pass the socket in the environment of the gunicorn that is to replace this one."""
        assert self._socket is not None, "open() comes first"
        self._socket.set_inheritable(True)
        environ[_SOCKET_VARIABLE] = str(self._socket.fileno())
        self.files.hand_over(environ)

    def serve(self) -> None:
        """Start answering scrapes, in a worker, unless the port is not open."""
        from prometheus_client import CollectorRegistry, make_wsgi_app  # noqa: PLC0415

        if (
            self._socket is None
        ):  # the address is new since a reload, and the master's start is over
            _log.warning("metrics are not served at %s before a restart", self._address)
            return
        registry = CollectorRegistry()
        registry.register(Collector())
        server = _Server(self._socket, make_wsgi_app(registry))
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


@cache
def port_at(address: Address) -> MetricsPort:
    """Return the port at an address; the same one every time gunicorn reloads its settings."""
    return MetricsPort(address)


def _inherited_socket() -> socket.socket | None:
    descriptor = os.environ.pop(_SOCKET_VARIABLE, None)
    return socket.socket(fileno=int(descriptor)) if descriptor else None


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    listener.setblocking(False)  # another worker may accept the scrape first
    return listener


class _Handler(WSGIRequestHandler):
    timeout = _SCRAPE_SECONDS  # ends the thread of a silent client
    wbufsize = -1  # a worker that ends must not leave a status line without its headers

    def log_message(self, *_args: object) -> None:
        """Log nothing: a scrape is not a client's request."""

    def get_stderr(self) -> TextIO:
        """Return where the library prints a traceback: nowhere, the collector logs the error."""
        return io.StringIO()


class _Server(ThreadingMixIn, WSGIServer):
    """wsgiref's server on an open socket, with a thread per scrape so that none blocks another."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        BaseServer.__init__(self, listener.getsockname(), _Handler)
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(app)

    def handle_error(self, *_args: object) -> None:
        """Log in one line that a scrape failed; the library prints a traceback."""
        _log.warning("a scrape could not be answered", exc_info=True)
