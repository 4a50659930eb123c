"""The `Store` protocol, and a store in this process."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from cachetools import TLRUCache

_MAX_BYTES = 2**26


class Store(Protocol):
    """A key-value store of bytes; one that is unavailable behaves like an empty one."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None if there is none."""

    def set(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value for that many seconds, or shorter, and return whether it was kept."""

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value if the key has none, and return whether it was kept."""


class _Entry(NamedTuple):
    value: bytes
    seconds: int
    size: int


class ProcessStore:
    """A store in this process, which evicts the least recently used entry.

    It is bounded by the bytes of keys and values.
    """

    def __init__(
        self, max_bytes: int = _MAX_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            max_bytes,
            ttu=lambda _key, entry, now: now + entry.seconds,
            timer=clock,
            getsizeof=lambda entry: entry.size,
        )
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the value of a key."""
        with self._lock:
            entry = self._entries.get(key)
        return entry and entry.value

    def set(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value, unless it is larger than the whole store."""
        with self._lock:
            return self._keep(key, value, seconds)

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value if the key has none, unless it is larger than the whole store."""
        with self._lock:
            return key not in self._entries and self._keep(key, value, seconds)

    def _keep(self, key: str, value: bytes, seconds: int) -> bool:
        size = len(key) + len(value)
        if fits := size <= self._entries.maxsize:
            self._entries[key] = _Entry(value, seconds, size)
        return fits
