"""Checks that need no cloud: memcached."""

import socket
from collections.abc import Iterator, Mapping

from nova_image_shim.adapters.address import Address
from nova_image_shim.check.findings import Finding, ok, warning
from nova_image_shim.settings import Settings

_MEMCACHED_SECONDS = 3


def local_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:  # noqa: ARG001
    """Check memcached."""
    for server in settings.memcached_servers:
        yield _memcached(server)


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
