"""memcached with short time-outs; a server that fails is not used for a while.

pymemcache returns bytes unchanged; the client that oslo.cache uses unpickles values, so anyone who
can write to memcached can run code. pymemcache's handling of failed servers is not thread-safe.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from pymemcache.client.base import PooledClient

from nova_image_shim.adapters.address import Address, Server
from nova_image_shim.adapters.limits.breaker import Breaker

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 0.5  # a slower server is not worth waiting for
_PAUSE_SECONDS = 5.0  # after a failure, before the server is used again


class _Server(NamedTuple):
    name: str
    client: PooledClient
    breaker: Breaker


class Memcached:
    """A store over several servers; each key is on one of them.

    Nothing is raised: a server that fails behaves like an empty one.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        breaker = partial(Breaker, failures=1, seconds=_PAUSE_SECONDS, clock=clock)
        self._servers = [
            _Server(str(server), open_client(server, timeout_seconds), breaker())
            for server in servers
        ]

    def get(self, key: str) -> bytes | None:
        """Return the value of a key."""
        found = self._call(key, lambda client: client.get(key))
        return found if isinstance(found, bytes) else None

    def set(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value for that many seconds."""
        return bool(self._call(key, lambda client: client.set(key, value, expire=seconds)))

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value if the key has none."""
        return bool(self._call(key, lambda client: client.add(key, value, expire=seconds)))

    def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            server.client.close()

    def _call(self, key: str, send: Callable[[PooledClient], object]) -> object:
        server = max(self._servers, key=lambda server: _weight(server.name, key))
        if server.breaker.refusal():
            return None
        try:
            answer = send(server.client)
        except Exception as error:  # noqa: BLE001 - its parser raises anything
            server.breaker.failed(error)
            _log.warning(
                "memcached at %s failed and is not used for %g s: %s: %s",
                server.name,
                _PAUSE_SECONDS,
                type(error).__name__,
                error,
            )
            return None
        server.breaker.succeeded()
        return answer


def open_client(server: Server, timeout_seconds: float = _TIMEOUT_SECONDS) -> PooledClient:
    """Return a client of one server, which connects with its first command."""
    return PooledClient(
        server if isinstance(server, Address) else str(server),
        connect_timeout=timeout_seconds,
        timeout=timeout_seconds,
        no_delay=True,
        default_noreply=False,  # a write returns when everyone sees it
    )


def _weight(server: str, key: str) -> bytes:
    """Return the weight of a server for a key: without one server, the others keep their keys."""
    return hashlib.sha256(f"{server} {key}".encode()).digest()
