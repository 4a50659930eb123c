"""What can be told without the cloud: limits of this machine, and memcached."""

from __future__ import annotations

import resource
import shlex
import socket
from typing import TYPE_CHECKING

from gunicorn.config import Config

from nova_image_shim.check.findings import Finding, fine, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nova_image_shim.adapters.http.address import Address
    from nova_image_shim.settings import Settings

_MEMCACHED_SECONDS = 3
_FILES_PER_THREAD = 6  # the client's, three to Glance, one each to Keystone and memcached
_OTHER_FILES = 64


def local_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at this machine, and at what gunicorn is told besides the settings."""
    yield from _threads(settings, environ)
    yield from _files(settings)
    for server in settings.memcached_servers:
        yield _memcached(server)


def _threads(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Compare the pool of threads that is needed with the one that gunicorn makes.

    The pools of connections need no look: they follow SHIM_THREADS.
    """
    arguments = shlex.split(environ.get("GUNICORN_CMD_ARGS", ""))
    given, _ = Config().parser().parse_known_args(arguments)
    if given.threads and given.threads < settings.pool_size:
        yield warning(
            f"GUNICORN_CMD_ARGS makes a pool of {given.threads} threads, smaller than the "
            f"{settings.pool_size} that SHIM_THREADS={settings.threads} and its queues need: while "
            "Glance hangs even /healthcheck would wait.",
            "Take --threads out of GUNICORN_CMD_ARGS and set SHIM_THREADS instead.",
        )


def _files(settings: Settings) -> Iterator[Finding]:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.threads * _FILES_PER_THREAD + _OTHER_FILES
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        yield warning(
            f"A process may open {allowed} files, and {settings.threads} threads may need {wanted} "
            "connections.",
            f"Raise the limit (LimitNOFILE= of a systemd unit, ulimit -n) to {wanted} or more.",
        )


def _memcached(server: Address) -> Finding:
    try:
        with socket.create_connection(server, timeout=_MEMCACHED_SECONDS) as connection:
            connection.sendall(b"version\r\n")
            answer = connection.recv(64)
    except OSError as error:
        return warning(
            f"memcached at {server} does not answer: {error.strerror or error}.",
            "Start it, or take it out of SHIM_MEMCACHED_SERVERS: until then tokens are validated "
            "more often.",
        )
    if not answer.startswith(b"VERSION "):
        return warning(f"What answers at {server} is no memcached.", "Mend SHIM_MEMCACHED_SERVERS.")
    return fine(f"memcached answers at {server}.")
