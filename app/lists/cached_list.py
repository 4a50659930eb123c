"""A list as the cache keeps it: marks in place of links, compressed, sealed with an HMAC.

Links come from each request: a forged `Host` reaches only the answer to whom sent it. Nothing of
what is read back is believed without the seal, nor for another key than the one it was kept under.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import zlib
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, NamedTuple

from nova_image_shim.lists.listing import Listed, Previous
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.links import Links

if TYPE_CHECKING:
    from collections.abc import Callable

    from nova_image_shim.settings import Keystone

_HASH = hashlib.sha256
_SEAL_BYTES = 32
_LEVEL = 1  # lists shrink to a tenth even so


class KeptList(NamedTuple):
    """A list whose links begin with marks.

    Args:
        listed: the list.
        mark: what stands for the links' beginnings; drawn by lot when the images were made already,
            so that no name or property can hold it.
        asked_at: when the store began to be asked, in seconds since 1970.
    """

    listed: Listed
    mark: str
    asked_at: float

    @classmethod
    def gathered(cls, gather: Callable[[Links], Listed]) -> KeptList:
        """Return what `gather` makes with marked links, errors let through."""
        mark, asked_at = secrets.token_hex(16), time.time()
        names = [field.name for field in fields(Links)]
        marked = {name: f"{mark}{number}" for number, name in enumerate(names)}
        return cls(gather(Links(**marked)), mark, asked_at)

    def with_links(self, links: Links) -> Listed:
        """Return the list with the links of a request."""
        beginnings = [to_json(beginning)[1:-1] for beginning in asdict(links).values()]
        return self.listed._replace(
            pages=[self._filled(page, beginnings) for page in self.listed.pages]
        )

    def _filled(self, page: bytes, beginnings: list[bytes]) -> bytes:
        for number, beginning in enumerate(beginnings):
            page = page.replace(f"{self.mark}{number}".encode(), beginning)
        return page

    def age(self) -> float:
        """Return how many seconds ago the store was asked."""
        return time.time() - self.asked_at

    def sealed(self, secret: bytes, key: str) -> bytes:
        """Return bytes of which `opened` makes the same again, for this key and secret only."""
        packed = [zlib.compress(page, _LEVEL) for page in self.listed.pages]
        about = [self.mark, self.asked_at, *self.listed[1:4]]
        head = json.dumps([*about, [len(page) for page in packed]]).encode()
        body = b"".join([head, b"\n", *packed])
        return _seal(secret, key, body) + body

    @classmethod
    def opened(cls, secret: bytes, key: str, data: bytes) -> KeptList | None:
        """Return the list that `sealed` made these bytes of; None where it did not."""
        body = data[_SEAL_BYTES:]
        if not hmac.compare_digest(data[:_SEAL_BYTES], _seal(secret, key, body)):
            return None
        head, _, packed = body.partition(b"\n")
        mark, asked_at, count, last_id, previous, sizes = json.loads(head)
        pages = []
        for size in sizes:
            pages.append(zlib.decompress(packed[:size]))
            packed = packed[size:]
        listed = Listed(pages, count, last_id, previous and Previous(*previous))
        return cls(listed, mark, asked_at)


def _seal(secret: bytes, key: str, body: bytes) -> bytes:
    seal = hmac.new(secret, key.encode(), _HASH)
    seal.update(body)
    return seal.digest()


def shared_secret(keystone: Keystone) -> bytes:
    """Return the secret of all who run with one service user, slow to guess a password by."""
    password = keystone.application_credential_secret or keystone.password or ""
    who = keystone.application_credential_id or keystone.user_id or keystone.username
    salt = f"nova-image-shim list cache\n{keystone.auth_url}\n{who}".encode()
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
