"""Checks that need no cloud: limits of this machine, and memcached."""

import resource
import shlex
import socket
from collections.abc import Iterator, Mapping

from gunicorn.config import Config

from nova_image_shim.adapters.address import Address
from nova_image_shim.check.findings import Finding, ok, warning
from nova_image_shim.settings import Settings

_MEMCACHED_SECONDS = 3
_FILES_PER_THREAD = 6  # the client's, three to Glance, one each to Keystone and memcached
_OTHER_FILES = 64


def local_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check this machine, gunicorn's own arguments, and memcached."""
    yield from _threads(settings, environ)
    yield from _files(settings)
    for server in settings.memcached_servers:
        yield _memcached(server)


def _threads(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Compare gunicorn's pool of threads with the one that SHIM_THREADS needs."""
    arguments = shlex.split(environ.get("GUNICORN_CMD_ARGS", ""))
    given, _ = Config().parser().parse_known_args(arguments)
    if given.threads and given.threads < settings.pool_size:
        yield warning(
            f"GUNICORN_CMD_ARGS sets a pool of {given.threads} threads, but "
            f"SHIM_THREADS={settings.threads} and its queues need {settings.pool_size}: while "
            "Glance hangs, even /healthcheck would wait.",
            "Remove --threads from GUNICORN_CMD_ARGS and set SHIM_THREADS instead.",
        )


def _files(settings: Settings) -> Iterator[Finding]:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.threads * _FILES_PER_THREAD + _OTHER_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        yield warning(
            f"A process may open {allowed} files, but {settings.threads} threads may need {needed} "
            "connections.",
            f"Raise the limit (LimitNOFILE= in a systemd unit, ulimit -n) to at least {needed}.",
        )


def _memcached(server: Address) -> Finding:
    try:
        with socket.create_connection(server, timeout=_MEMCACHED_SECONDS) as connection:
            connection.sendall(b"version\r\n")
            answer = connection.recv(64)
    except OSError as error:
        return warning(
            f"memcached at {server} does not answer: {error.strerror or error}.",
            "Start it, or remove it from SHIM_MEMCACHED_SERVERS: until then tokens are validated "
            "more often.",
        )
    if not answer.startswith(b"VERSION "):
        return warning(
            f"The server at {server} is not memcached.", "Correct SHIM_MEMCACHED_SERVERS."
        )
    return ok(f"memcached answers at {server}.")
