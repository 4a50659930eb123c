"""A separate port for Prometheus, served by one extra thread in each worker.

gunicorn's master opens the socket and the workers inherit it. Any worker can answer a scrape for
all of them, from the files that they share, and does so even while its whole thread pool is busy.
The master starts no thread, since forking a process with threads is unsafe. The service's own
port does not serve metrics.
"""

import os
import shutil
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path
from socketserver import BaseServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from nova_image_shim.adapters.address import Address

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own
_SOCKET_VARIABLE = "NOVA_IMAGE_SHIM_METRICS_FD"
_SCRAPE_SECONDS = 10
_BACKLOG = 16


class MetricsPort:
    """The port and the folder of metric files, for the lifetime of gunicorn's master."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._own_folder: str | None = None

    def open(self, uid: int, gid: int) -> None:
        """Listen, and prepare the folder that PROMETHEUS_MULTIPROC_DIR names, or a temporary one.

        A temporary one belongs to the user and group that the workers run as.

        Raises:
            OSError: the address is in use or not local, or the folder cannot be created.
        """
        self._socket = _inherited_socket() or _listen(self._address)
        if configured := os.environ.get(_FOLDER_VARIABLE):
            Path(configured).mkdir(parents=True, exist_ok=True)
            for file in Path(configured).glob("*.db"):  # left by an earlier run
                file.unlink()
        else:
            self._own_folder = tempfile.mkdtemp(prefix="nova-image-shim-metrics-")
            os.environ[_FOLDER_VARIABLE] = self._own_folder
            os.chown(self._own_folder, uid, gid)

    def hand_over(self, environ: dict[str, str]) -> None:
        """Pass the socket in the environment of the gunicorn that is to replace this one."""
        assert self._socket is not None, "open() comes first"
        self._socket.set_inheritable(True)
        environ[_SOCKET_VARIABLE] = str(self._socket.fileno())

    def serve(self) -> None:
        """Start answering scrapes, in a worker."""
        from prometheus_client import CollectorRegistry, make_wsgi_app  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        assert self._socket is not None, "open() comes first"
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        server = _Server(self._socket, make_wsgi_app(registry))
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def forget(self, pid: int) -> None:
        """Drop the gauges of a worker that has exited; its counters stay."""
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._own_folder:
            shutil.rmtree(self._own_folder, ignore_errors=True)


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

    def log_message(self, *_args: object) -> None:
        """Log nothing: a scrape is not a client's request."""


class _Server(ThreadingMixIn, WSGIServer):
    """wsgiref's server on an open socket, with a thread per scrape so that none blocks another."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        BaseServer.__init__(self, listener.getsockname(), _Handler)
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(app)
