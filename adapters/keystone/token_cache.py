"""Validated tokens, kept for a while: in this process, or signed in memcached."""

import hashlib
from typing import Any

import orjson

from nova_image_shim.adapters.stores.process import Store


class TokenCache:
    """What Keystone returned about tokens.

    Args:
        store: where; keys are digests, so that no token is in it.
        seconds: how long an answer is used; 0 turns the cache off.
    """

    def __init__(self, store: Store, seconds: int) -> None:
        self._store = store
        self._seconds = seconds

    def get(self, token: str) -> dict[str, Any] | None:
        """Return Keystone's answer about a token, `{"token": {...}}`; None where it is unknown."""
        found = self._store.get(_key(token)) if self._seconds else None
        return orjson.loads(found) if found else None

    def set(self, token: str, data: dict[str, Any]) -> None:
        """Keep Keystone's answer about a token."""
        if self._seconds:
            self._store.set(_key(token), orjson.dumps(data), self._seconds)


def _key(token: str) -> str:
    return f"tokens/{hashlib.sha256(token.encode()).hexdigest()}"
