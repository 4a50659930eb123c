"""Where the cache of lists keeps its bytes: memcached, or this process."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple

from cachetools import TLRUCache

if TYPE_CHECKING:
    from nova_image_shim.adapters.stores.memcached import Memcached

PIECE_BYTES = 2**19  # memcached takes items of up to 1 MiB, their keys included
_WHOLE, _PIECES = b"=", b"#"
_PROCESS_BYTES = 2**26


class MemcachedStore:
    """memcached; large values lie there in pieces, and one whose pieces are not all there is none.

    Args:
        memcached: the servers, as all who share the cache have them.
    """

    def __init__(self, memcached: Memcached) -> None:
        self._memcached = memcached

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key."""
        found = self._memcached.get(key)
        if not found or found[:1] == _WHOLE:
            return found and found[1:]
        names = found[1:].decode("ascii", "replace").split()
        pieces = [piece for name in names if (piece := self._memcached.get(name))]
        return b"".join(pieces) if len(pieces) == len(names) else None

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a value; the pieces have names of their own, lest they be mixed with another's."""
        if len(value) < PIECE_BYTES:
            self._memcached.set(key, _WHOLE + value, seconds)
            return
        stem = f"nova-image-shim:piece:{secrets.token_hex(16)}"
        starts = range(0, len(value), PIECE_BYTES)
        for start in starts:
            self._memcached.set(f"{stem}:{start}", value[start : start + PIECE_BYTES], seconds)
        names = " ".join(f"{stem}:{start}" for start in starts)
        self._memcached.set(key, _PIECES + names.encode(), seconds)

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a small value where there is none, and tell whether that was so."""
        return self._memcached.add(key, _WHOLE + value, seconds)

    def delete(self, key: str) -> None:
        """Forget a key."""
        self._memcached.delete(key)


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
