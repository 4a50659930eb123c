"""Where Prometheus scrapes: a port of its own, answered by a thread of its own in each worker.

The socket is made by gunicorn's master and inherited by the workers; whichever takes a scrape
answers for all of them, from the files that they share. A scrape is answered while every thread
of the pool is busy, which is when it matters most, and the master has no thread, so that it can
fork safely. Clients have no way to this port by the service's own.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path
from socketserver import BaseServer, ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from nova_image_shim.adapters.address import Address

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_HANDED_OVER = "NOVA_IMAGE_SHIM_METRICS_FD"
_SCRAPE_SECONDS = 10
_BACKLOG = 16


class MetricsPort:
    """The port and the files behind it, from gunicorn's start to its end.

    Args:
        address: where to listen.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._own_folder: str | None = None

    def open(self, uid: int, gid: int) -> None:
        """Listen, and make the folder, or empty the one that PROMETHEUS_MULTIPROC_DIR names.

        Args:
            uid: as whom the workers run.
            gid: the same for the group.

        Raises:
            OSError: the address is in use or none of this machine's, or the folder cannot be made.
        """
        self._socket = _inherited() or _listen(self._address)
        if given := os.environ.get(_FOLDER):
            Path(given).mkdir(parents=True, exist_ok=True)
            for file in Path(given).glob("*.db"):  # of an earlier run
                file.unlink()
        else:
            self._own_folder = tempfile.mkdtemp(prefix="nova-image-shim-metrics-")
            os.environ[_FOLDER] = self._own_folder
            os.chown(self._own_folder, uid, gid)

    def hand_over(self, environ: dict[str, str]) -> None:
        """Leave the socket to the program that is about to take this one's place (SIGUSR2).

        Args:
            environ: what that program gets.
        """
        assert self._socket is not None, "open() comes first"
        self._socket.set_inheritable(True)
        environ[_HANDED_OVER] = str(self._socket.fileno())

    def serve(self) -> None:
        """Answer scrapes from now on, in a worker."""
        from prometheus_client import CollectorRegistry, make_wsgi_app  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        assert self._socket is not None, "open() comes first"
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        server = _Server(self._socket, make_wsgi_app(registry))
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def forget(self, pid: int) -> None:
        """Take a worker that has ended out of what is told of the living."""
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Remove the folder, unless it was given."""
        if self._own_folder:
            shutil.rmtree(self._own_folder, ignore_errors=True)


@cache
def port_at(address: Address) -> MetricsPort:
    """Return the port at an address, the same one however often gunicorn reads its settings."""
    return MetricsPort(address)


def _inherited() -> socket.socket | None:
    number = os.environ.pop(_HANDED_OVER, None)
    return socket.socket(fileno=int(number)) if number else None


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    listener.setblocking(False)  # another worker may have taken the scrape meanwhile
    return listener


class _Handler(WSGIRequestHandler):
    timeout = _SCRAPE_SECONDS  # and then a silent peer's thread ends

    def log_message(self, *_args: object) -> None:
        """Say nothing: a scrape is no request of a client."""


class _Server(ThreadingMixIn, WSGIServer):
    """wsgiref's server over a socket that is there already; a silent peer holds up nobody else."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        BaseServer.__init__(self, listener.getsockname(), _Handler)
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(app)
