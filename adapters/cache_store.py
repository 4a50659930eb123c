"""Where the cache of lists keeps its bytes: memcached, or this process.

pymemcache, because it hands bytes out as they came; the client that oslo.cache brings unpickles
what is marked so, by whoever can write to memcached.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple

from cachetools import TLRUCache
from pymemcache import HashClient

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECE_BYTES = 2**19  # memcached takes items of up to 1 MiB, their keys included
_SECONDS = 1.0  # for memcached to answer: what it spares is longer
_WHOLE, _PIECES = b"=", b"#"
_PROCESS_BYTES = 2**26


class MemcachedStore:
    """memcached; large values lie there in pieces, and one whose pieces are not all there is none.

    A server that is away answers nothing and keeps nothing; it is asked again after a minute.

    Args:
        servers: `host:port` of each, as all who share the cache have them.
        connections: how many to each are kept.
    """

    def __init__(self, servers: Sequence[str], connections: int) -> None:
        self._client = HashClient(
            [_address(server) for server in servers],
            use_pooling=True,
            max_pool_size=connections,
            connect_timeout=_SECONDS,
            timeout=_SECONDS,
            no_delay=True,
            ignore_exc=True,
            default_noreply=False,  # a write is answered only when all others see it
        )

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key."""
        found: bytes | None = self._client.get(key)
        if not found or found[:1] == _WHOLE:
            return found and found[1:]
        names = found[1:].decode("ascii", "replace").split()
        pieces = self._client.get_many(names)
        return b"".join(pieces[name] for name in names) if len(pieces) == len(names) else None

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a value; the pieces have names of their own, lest they be mixed with another's."""
        if len(value) < PIECE_BYTES:
            self._client.set(key, _WHOLE + value, expire=seconds)
            return
        stem = f"nova-image-shim:piece:{secrets.token_hex(16)}"
        starts = range(0, len(value), PIECE_BYTES)
        pieces = {f"{stem}:{start}": value[start : start + PIECE_BYTES] for start in starts}
        self._client.set_many(pieces, expire=seconds)
        self._client.set(key, _PIECES + " ".join(pieces).encode(), expire=seconds)

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a small value where there is none, and tell whether that was so."""
        return bool(self._client.add(key, _WHOLE + value, expire=seconds))

    def delete(self, key: str) -> None:
        """Forget a key."""
        self._client.delete(key)


class _Kept(NamedTuple):
    value: bytes
    seconds: int


class ProcessStore:
    """The process itself; bounded, what was not asked for longest goes first."""

    def __init__(self) -> None:
        self._kept: TLRUCache[str, _Kept] = TLRUCache(
            _PROCESS_BYTES,
            ttu=lambda _key, kept, now: now + kept.seconds,
            getsizeof=lambda kept: len(kept.value),
        )
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key."""
        with self._lock:
            kept = self._kept.get(key)
        return kept and kept.value

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a value, unless it is larger than all that may be kept."""
        if len(value) <= _PROCESS_BYTES:
            with self._lock:
                self._kept[key] = _Kept(value, seconds)

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value where there is none, and tell whether that was so."""
        with self._lock:
            return self._kept.setdefault(key, added := _Kept(value, seconds)) is added

    def delete(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._kept.pop(key, None)


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)
