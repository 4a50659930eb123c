"""What can be told without the cloud: limits of this machine, and memcached."""

from __future__ import annotations

import resource
import socket
from typing import TYPE_CHECKING

from nova_image_shim.check.findings import Finding, fine, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nova_image_shim.settings import Settings

_MEMCACHED_SECONDS = 3
_FILES_PER_THREAD = 6  # the client's, three to Glance, one each to Keystone and memcached
_OTHER_FILES = 64


def local_findings(settings: Settings) -> Iterator[Finding]:
    """Look at this machine."""
    yield from _pool(settings)
    yield from _files(settings)
    for server in settings.memcached_servers:
        yield _memcached(server)


def _pool(settings: Settings) -> Iterator[Finding]:
    size, threads = settings.memcached_pool_size, settings.threads
    if settings.memcached_servers and 0 < size < threads:
        yield warning(
            f"The pool of {size} connections to memcached is smaller than the {threads} threads, "
            "which then wait for each other.",
            f"Set SHIM_MEMCACHED_POOL_SIZE to {threads}, or leave it unset.",
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


def _memcached(server: str) -> Finding:
    host, _, port = server.rpartition(":")
    address = (host.strip("[]"), int(port))
    try:
        with socket.create_connection(address, timeout=_MEMCACHED_SECONDS) as connection:
            connection.sendall(b"version\r\n")
            answer = connection.recv(64)
    except OSError as error:
        return warning(
            f"memcached at {server} does not answer: {error.strerror or error}.",
            "Start it, or take it out of SHIM_MEMCACHED_SERVERS: until then requests wait for it "
            "now and then, and tokens are validated more often.",
        )
    if not answer.startswith(b"VERSION "):
        return warning(f"What answers at {server} is no memcached.", "Mend SHIM_MEMCACHED_SERVERS.")
    return fine(f"memcached answers at {server}.")
