"""memcached that is never in the way: bytes, short waits, and a server that fails is let alone.

pymemcache hands bytes out as they came; the client that oslo.cache brings unpickles what is marked
so, by whoever can write to memcached. Its own way with servers that fail is not safe for threads.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, NamedTuple

from pymemcache.client.base import PooledClient

from nova_image_shim.adapters.limits.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 0.5  # a server farther off than that is no help
_PAUSE_SECONDS = 5.0  # after a failure, until the server is tried again


class _Server(NamedTuple):
    name: str
    client: PooledClient
    breaker: Breaker


class Memcached:
    """Some servers, each key on one of them. Nothing is raised: where one fails nothing is kept.

    Args:
        servers: `host:port` of each.
        pause_seconds: how long a server that failed is let alone.
    """

    def __init__(self, servers: Sequence[str], *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self._servers = [_server(name, pause_seconds) for name in servers]

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key."""
        found = self._ask(key, lambda client: client.get(key))
        return found if isinstance(found, bytes) else None

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a value for so many seconds."""
        self._ask(key, lambda client: client.set(key, value, expire=seconds))

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value where there is none, and tell whether that was so."""
        return bool(self._ask(key, lambda client: client.add(key, value, expire=seconds)))

    def delete(self, key: str) -> None:
        """Forget a key."""
        self._ask(key, lambda client: client.delete(key))

    def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            server.client.close()

    def _ask(self, key: str, question: Callable[[PooledClient], object]) -> object:
        server = max(self._servers, key=lambda server: _weight(server.name, key))
        if server.breaker.refusal():
            return None
        try:
            answer = question(server.client)
        except Exception as error:  # noqa: BLE001 - its parser fails in many ways on rubbish
            server.breaker.failed(error)
            _log.warning(
                "memcached at %s failed and is let alone for %g s: %s: %s",
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
        default_noreply=False,  # a write is answered only when all others see it
    )
    return _Server(name, client, Breaker(failures=1, seconds=pause_seconds))


def _weight(server: str, key: str) -> bytes:
    """Return what decides whose a key is: without one server, the others keep theirs."""
    return hashlib.sha256(f"{server} {key}".encode()).digest()
