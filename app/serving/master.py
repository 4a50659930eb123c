"""gunicorn's master: it does not start on a port in use, and survives a failed reload or fork.

gunicorn ends it if its configuration cannot be read again, and if a process cannot be forked: the
workers that still serve would end with it.
"""

import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

# Their sockets are open already: those of systemd, and of the gunicorn that this one replaces.
_INHERITED = {"LISTEN_FDS", "GUNICORN_FD"}
_REASONS = {
    errno.EADDRINUSE: "the port is in use: stop the process that has it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address: choose one of its own",
}


def require_free_ports(cfg: Any) -> None:
    """Bind each TCP address of gunicorn's configuration once; gunicorn itself would try for 5 s.

    Raises:
        OSError: an address cannot be bound.
    """
    if cfg.reuse_port or not _INHERITED.isdisjoint(os.environ):
        return
    for address in cfg.address:
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)


def reason_of(error: OSError) -> str:
    """Return why an address cannot be bound, and what to do."""
    return _REASONS.get(error.errno or 0, str(error))


def guard(server: Any, read_again: Callable[[], object]) -> None:
    """Make gunicorn's `Arbiter` refuse a reload that would fail, and go on without a new worker.

    `read_again` reads everything that a reload uses; it raises SystemExit where it cannot.
    """
    server.handle_hup = partial(_reload, server, read_again, server.handle_hup)
    server.spawn_worker = partial(_spawn_worker, server, server.spawn_worker)


def _reload(server: Any, read_again: Callable[[], object], handle_hup: Callable[[], None]) -> None:
    try:
        read_again()
    except SystemExit as refused:
        reason = " ".join(str(refused).split())
        server.log.error(  # noqa: TRY400 - the reason is enough
            "the reload is refused, the present workers continue: %s", reason
        )
    else:
        handle_hup()


def _spawn_worker(server: Any, spawn_worker: Callable[[], object]) -> None:
    try:
        spawn_worker()
    except OSError as error:  # gunicorn tries again within a second
        server.log.error("a worker cannot be started: %s", error)  # noqa: TRY400
