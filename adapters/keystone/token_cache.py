"""Where validated tokens are kept, in the form in which auth_token wants a cache."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cachetools import TTLCache

from nova_image_shim.adapters.stores.memcached_tokens import MemcachedTokens
from nova_image_shim.lists.cached_list import shared_secret

if TYPE_CHECKING:
    from nova_image_shim.adapters.stores.memcached import Memcached
    from nova_image_shim.settings import Settings

_CACHED_TOKENS = 4096


class NoCache:
    """A token cache that forgets at once."""

    def get(self, _key: str) -> None:
        """Return nothing."""

    def set(self, _key: str, _value: bytes, **_kwargs: object) -> None:
        """Keep nothing."""


class ProcessCache:
    """A token cache in this process: bounded, and one for all threads, unlike auth_token's own."""

    def __init__(self, seconds: int) -> None:
        self._tokens: TTLCache[str, bytes] = TTLCache(_CACHED_TOKENS, seconds)
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, as memcached's client would."""
        with self._lock:
            return self._tokens.get(key)

    def set(self, key: str, value: bytes, **_kwargs: object) -> None:
        """Keep a value for the time that the cache was made with."""
        with self._lock:
            self._tokens[key] = value


def make_token_cache(
    settings: Settings, memcached: Memcached | None
) -> ProcessCache | NoCache | MemcachedTokens:
    """Return the cache that auth_token finds in the request."""
    if not settings.token_cache_seconds:
        return NoCache()
    if memcached:
        return MemcachedTokens(memcached, shared_secret(settings.keystone))
    return ProcessCache(settings.token_cache_seconds)
