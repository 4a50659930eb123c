"""Lines of log files, unpacked, in bounded memory."""

import bz2
import gzip
import io
import lzma
import os
import re
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

_STDIN = "-"
_LONGEST_LINE = 2**16
_MOST_LAYERS = 3
_PIECE = 2**16


class _Streams(io.RawIOBase):
    """bzip2 or xz streams, unpacked; Python's own readers skip what follows a stream silently."""

    def __init__(self, make: Callable[[], Any], file: Any) -> None:
        self._make, self._file = make, file
        self._stream, self._packed = make(), b""

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Unpack the next bytes; 0 at the end.

        Raises:
            EOFError, OSError, LZMAError: a stream is incomplete, or something else follows it.
        """
        found = b""
        while not found:
            if self._stream.eof:
                rest = self._stream.unused_data or self._file.read(_PIECE)
                if not rest.strip(b"\0"):  # padding
                    return 0
                self._stream, self._packed = self._make(), rest
            if self._stream.needs_input and not self._packed:
                self._packed = self._file.read(_PIECE)
                if not self._packed:
                    raise EOFError("the last stream is incomplete")
            found = self._stream.decompress(self._packed, len(buffer))
            self._packed = b""
        buffer[: len(found)] = found
        return len(found)


def _strictly(make: Callable[[], Any], file: Any) -> io.BufferedReader:
    return io.BufferedReader(_Streams(make, file))


# The first bytes of a file, and what unpacks it: a function, or a command for the user to run.
_FORMATS: dict[bytes, Callable[[Any], Any] | str] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": partial(_strictly, bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": partial(_strictly, lzma.LZMADecompressor),
    b"]\0\0": partial(_strictly, lzma.LZMADecompressor),
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"\x50\x2a\x4d\x18": "zstd -dc",  # from pzstd
    b"\x04\x22\x4d\x18": "lz4 -dc",
    b"\x02\x21\x4c\x18": "lz4 -dc",
    b"\x1f\x9d": "gzip -dc",  # from compress
    b"PK\x03\x04": "unzip -p",
    b"7z\xbc\xaf\x27\x1c": "7z x -so",
    b"LZIP": "lzip -dc",
    b"\x89LZO\0": "lzop -dc",
    b"LPKSHHRH": "journalctl -o cat --file",
    b"\xff\xfe": "iconv -f UTF-16 -t UTF-8",  # from PowerShell
    b"\xfe\xff": "iconv -f UTF-16 -t UTF-8",
}
# A line of a container's log file in Kubernetes: time, stream, P if it goes on or F, text.
_CRI = re.compile(rb"\d\S{19,39} (stdout|stderr) ([PF])\S* (.*)", re.DOTALL)


def distinct(names: Iterable[str]) -> list[str]:
    """Return each log once, even if several names lead to it; a missing one is kept."""
    found: dict[object, str] = {}
    for name in names:
        try:
            stat = os.fstat(0) if name == _STDIN else Path(name).stat()
            found.setdefault((stat.st_dev, stat.st_ino), name)
        except OSError:
            found.setdefault(name, name)
    return list(found.values())


def lines_of(name: str) -> Iterator[bytes]:
    """Yield a log's lines, unpacked; one far too long is split, and the parts of one are joined.

    Args:
        name: a path, or `-` for standard input.

    Raises:
        OSError: the log cannot be read or unpacked.
    """
    try:
        with open(0 if name == _STDIN else name, "rb", closefd=name != _STDIN) as file:
            content = _unpacked(file, "FILE" if name == _STDIN else shlex.quote(name))
            yield from _joined(iter(partial(content.readline, _LONGEST_LINE), b""))
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"cannot be unpacked: {error}") from error


def _unpacked(file: Any, name: str) -> Any:
    for _ in range(_MOST_LAYERS):
        start = file.peek(8)
        unpack = next((way for magic, way in _FORMATS.items() if start.startswith(magic)), None)
        if isinstance(unpack, str):
            raise OSError(f"must be unpacked first: {unpack} {name}")
        if unpack is None:
            break
        file = unpack(file)
    return file


def _joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Join the parts of lines that a container runtime has cut; yield other lines as they are."""
    parts: dict[bytes, bytes] = {}
    for line in lines:
        cut = _CRI.match(line)
        if cut is None:
            yield line
            continue
        stream, tag, text = cut.groups()
        text = parts.pop(stream, b"") + text
        if tag == b"P" and len(text) < _LONGEST_LINE:
            parts[stream] = text.rstrip(b"\n")
        else:
            yield text
    yield from parts.values()
