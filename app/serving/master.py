"""gunicorn's master, kept alive where a reload or a new worker fails.

gunicorn ends it if its configuration cannot be read again, and if a process cannot be forked: the
workers that still serve would end with it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any


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
