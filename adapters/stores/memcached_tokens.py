"""Validated tokens in memcached, for all processes and machines, and sealed.

keystonemiddleware's own way there is not taken: its client unpickles what it finds, waits 3 s for
a silent server and 10 s for a connection, and forgets a server for 5 minutes.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nova_image_shim.adapters.stores.memcached import Memcached

_log = logging.getLogger(__name__)

_SEAL_BYTES = 32
_PREFIX = "nova-image-shim/"  # Glance may use the same memcached, and does not know our seal


class MemcachedTokens:
    """A token cache as auth_token wants one.

    What is read is believed only if somebody with the same secret wrote it under the same key.

    Args:
        memcached: where; without it Keystone is asked.
        secret: the seal; the same for all who share the servers.
    """

    def __init__(self, memcached: Memcached, secret: bytes) -> None:
        self._memcached = memcached
        self._secret = hmac.digest(secret, b"tokens", "sha256")

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, None where there is nothing to be believed."""
        found = self._memcached.get(_PREFIX + key)
        if found is None:
            return None
        seal, value = found[:_SEAL_BYTES], found[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(key, value)):
            _log.warning("memcached holds something else under a token's key: not used")
            return None
        return value

    def set(self, key: str, value: bytes, time: int = 0) -> None:
        """Keep a value for so many seconds."""
        self._memcached.set(_PREFIX + key, self._seal(key, value) + value, time)

    def _seal(self, key: str, value: bytes) -> bytes:
        return hmac.digest(self._secret, key.encode() + b"\0" + value, "sha256")
