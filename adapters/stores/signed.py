"""A store that others can write to, made safe by signatures."""

import hashlib
import hmac
import logging
import struct
import time
from collections.abc import Callable

from nova_image_shim.adapters.stores.process import Store

_log = logging.getLogger(__name__)

_PREFIX = "nova-image-shim/"  # other services may use the same store
_SIGNATURE_BYTES = 32
_TIMES = struct.Struct(">dI")  # when the value was written, and for how many seconds
_SKEW_SECONDS = 5.0  # between the clocks of those who share the store


class SignedStore:
    """A store whose values carry a signature of key, value and time.

    A value is not used after the seconds for which it was written, however long the store keeps it.
    Everyone who shares the store has the secret and a clock of seconds since 1970.
    """

    def __init__(self, store: Store, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._secret = secret
        self._clock = clock

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None unless we wrote it and it is still valid."""
        found = self._store.get(_PREFIX + key)
        if found is None:
            return None
        signature, signed = found[:_SIGNATURE_BYTES], found[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(key, signed)):
            _log.warning("memcached has a value that this service did not write: not used")
            return None
        written, seconds = _TIMES.unpack_from(signed)
        is_valid = -_SKEW_SECONDS <= self._clock() - written < seconds
        return signed[_TIMES.size :] if is_valid else None

    def set(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value for that many seconds."""
        return self._store.set(_PREFIX + key, self._signed(key, value, seconds), seconds)

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value if the key has none."""
        return self._store.add(_PREFIX + key, self._signed(key, value, seconds), seconds)

    def _signed(self, key: str, value: bytes, seconds: int) -> bytes:
        signed = _TIMES.pack(self._clock(), seconds) + value
        return self._signature(key, signed) + signed

    def _signature(self, key: str, signed: bytes) -> bytes:
        return hmac.digest(self._secret, key.encode() + b"\0" + signed, "sha256")


def shared_secret(password: str, *identity: str | None) -> bytes:
    """Return the secret of all instances of one service user; deriving it is slow on purpose.

    The identity is Keystone's address and the user: the salt.
    """
    salt = "\n".join(("nova-image-shim", *map(str, identity))).encode()
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
