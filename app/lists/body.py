"""The finished bodies of a list: each is made once, for all requests that share the list."""

import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import xxhash

_LEVEL = 1  # the fastest; JSON lists shrink to a tenth even so
_WBITS = {"gzip": 31, "deflate": 15}  # how zlib names the two codings
CODINGS = tuple(_WBITS)


def packed(pieces: Iterable[bytes], coding: str) -> bytes:
    """Return the pieces of a body in a coding of `CODINGS`."""
    coder = zlib.compressobj(_LEVEL, wbits=_WBITS[coding])
    return b"".join([*map(coder.compress, pieces), coder.flush()])


@dataclass(eq=False, slots=True)
class Body:
    """The body of a response in pieces; safe for threads."""

    pieces: tuple[bytes, ...]
    etag: str = ""  # without quotation marks; of the pieces
    length: int = 0
    _packed: dict[str, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.length = sum(map(len, self.pieces))
        digest = xxhash.xxh3_128()  # a cryptographic one takes 4 % of a list's time
        for piece in self.pieces:
            digest.update(piece)
        self.etag = digest.hexdigest()

    def packed(self, coding: str) -> bytes:
        """Return it in a coding of `CODINGS`."""
        with self._lock:
            if coding not in self._packed:
                self._packed[coding] = packed(self.pieces, coding)
            return self._packed[coding]

    @property
    def size(self) -> int:
        """Return how many bytes it holds."""
        return self.length + sum(map(len, list(self._packed.values())))
