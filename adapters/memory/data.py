"""The data of images: the first of it in memory, the rest in files of one temporary directory."""

import hashlib
import io
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nova_image_shim.adapters.image_port import ImageBadRequest, ImageQuotaExceeded

CHUNK_BYTES = 2**16
SMALL_BYTES = 2**20  # larger data is in a file,
MEMORY_BYTES = 2**25  # and so is all data once there is this much
IMAGES_IN_TOTAL = 4  # there is room for so many images of the largest size

_TOO_LARGE = "The incoming image is too large: The provided image is too large."
_FULL = "Image storage media is full: There is not enough disk space on the image storage media."


@dataclass(eq=False)
class ImageData:
    """The data of one image; its file is deleted with the last reference to it."""

    size: int = 0
    md5: str = ""
    sha512: str = ""
    content: bytes | Path = b""

    def open(self) -> BinaryIO:
        """Return a file to read the data from."""
        content = self.content
        return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


@dataclass
class _Kept:
    size: int = 0
    path: Path | None = None


class ImageFiles:
    """Receive data, and count it until it is deleted; safe to use from several threads.

    Args:
        max_image_bytes: the most that one image may have; all together may have four times as much.
    """

    def __init__(self, max_image_bytes: int) -> None:
        self._max_bytes = max_image_bytes
        self._lock = threading.RLock()  # a finalizer may interrupt a thread that has it
        self._total = 0
        self._folder: Path | None = None

    def receive(self, read: Callable[[int], bytes], announced: int) -> ImageData:
        """Read data to its end; `announced` is its size in bytes, 0 if that is not known.

        Raises:
            ImageBadRequest: there are more or fewer bytes than announced.
            ImageQuotaExceeded: the image is too large, or there is no room left.
        """
        data, kept, small = ImageData(), _Kept(), bytearray()
        weakref.finalize(data, self._forget, kept)
        md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        most_in_memory = SMALL_BYTES if self._total < MEMORY_BYTES else 0
        self._count(kept, 0, announced)
        with ExitStack() as stack:
            write: Callable[[bytes], object] = small.extend
            for chunk in iter(partial(read, CHUNK_BYTES), b""):
                self._count(kept, len(chunk), kept.size + len(chunk))
                if announced and kept.size > announced:
                    raise _wrong_size("exceeds", announced, kept.size)
                if kept.path is None and kept.size > most_in_memory:
                    file = stack.enter_context(self._new_file(kept))
                    file.write(small)
                    write = file.write
                write(chunk)
                md5.update(chunk)
                sha512.update(chunk)
        if announced and kept.size != announced:
            raise _wrong_size("mismatch", announced, kept.size)
        data.size, data.md5, data.sha512 = kept.size, md5.hexdigest(), sha512.hexdigest()
        data.content = kept.path or bytes(small)
        return data

    def _count(self, kept: _Kept, more: int, size: int) -> None:
        """Count bytes of an image that has or will have this size."""
        with self._lock:
            if size > self._max_bytes:
                raise ImageQuotaExceeded(_TOO_LARGE)
            if self._total + more > IMAGES_IN_TOTAL * self._max_bytes:
                raise ImageQuotaExceeded(_FULL)
            self._total += more
            kept.size += more

    def _new_file(self, kept: _Kept) -> BinaryIO:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="nova-image-shim-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        kept.path = self._folder / uuid.uuid4().hex
        return kept.path.open("xb")

    def _forget(self, kept: _Kept) -> None:
        if kept.path:
            kept.path.unlink(missing_ok=True)
        with self._lock:
            self._total -= kept.size


def _wrong_size(what: str, expected: int, actual: int) -> ImageBadRequest:
    return ImageBadRequest(f"Size {what}: expected {expected} bytes, got {actual} bytes")
