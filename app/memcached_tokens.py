"""Validated tokens in memcached, for all processes and machines: sealed, and never waited for long.

keystonemiddleware's own way there is not taken: its client unpickles what it finds, waits 3 s for
a silent server and 10 s for a connection, and forgets a server for 5 minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import TYPE_CHECKING, NamedTuple

from pymemcache.client.base import PooledClient

from nova_image_shim.adapters.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 0.5  # a server farther off than that is no help
_PAUSE_SECONDS = 5.0  # after a failure, until the server is tried again
_SEAL_BYTES = 32


class _Server(NamedTuple):
    name: str
    client: PooledClient
    breaker: Breaker


class MemcachedTokens:
    """A token cache as auth_token wants one, that is never in the way.

    Where a server fails its tokens are in no cache for a while, and Keystone is asked. What is
    read is believed only if somebody with the same secret wrote it under the same key.

    Args:
        servers: `host:port` of each; a key belongs to one of them.
        secret: the service user's, from which the seal is made.
        pause_seconds: how long a server that failed is let alone.
    """

    def __init__(
        self, servers: Sequence[str], secret: str, *, pause_seconds: float = _PAUSE_SECONDS
    ) -> None:
        self._pause_seconds = pause_seconds
        self._servers = [_server(name, pause_seconds) for name in servers]
        self._key = hashlib.sha256(b"nova-image-shim tokens " + secret.encode()).digest()

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, None where there is nothing to be believed."""
        found = self._ask(key, lambda client: client.get(key))
        if not isinstance(found, bytes):
            return None
        seal, value = found[:_SEAL_BYTES], found[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(key, value)):
            _log.warning("memcached holds something else under a token's key: not used")
            return None
        return value

    def set(self, key: str, value: bytes, time: int = 0) -> None:
        """Keep a value for so many seconds."""
        sealed = self._seal(key, value) + value
        self._ask(key, lambda client: client.set(key, sealed, expire=time))

    def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            server.client.close()

    def _seal(self, key: str, value: bytes) -> bytes:
        return hmac.digest(self._key, key.encode() + b"\0" + value, "sha256")

    def _ask(self, key: str, question: Callable[[PooledClient], object]) -> object:
        server = max(self._servers, key=lambda server: _weight(server.name, key))
        if server.breaker.refusal():
            return None
        try:
            answer = question(server.client)
        except Exception as error:  # noqa: BLE001 - its parser fails in many ways on rubbish
            server.breaker.failed(error)
            _log.warning(
                "memcached at %s failed, Keystone is asked for its tokens for %g s: %s: %s",
                server.name,
                self._pause_seconds,
                type(error).__name__,
                error,
            )
            return None
        server.breaker.succeeded()
        return answer


def _server(name: str, pause_seconds: float) -> _Server:
    host, _, port = name.rpartition(":")
    client = PooledClient(
        (host.strip("[]"), int(port)),
        connect_timeout=_TIMEOUT_SECONDS,
        timeout=_TIMEOUT_SECONDS,
        no_delay=True,
        default_noreply=False,
    )
    return _Server(name, client, Breaker(failures=1, seconds=pause_seconds))


def _weight(server: str, key: str) -> bytes:
    """Return what decides whose a key is: without one server, the others keep theirs."""
    return hashlib.sha256(f"{server} {key}".encode()).digest()
