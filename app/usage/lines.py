"""Access lines, read back from text or JSON, plain or compressed, in bounded memory."""

import bz2
import gzip
import lzma
import re
import sys
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from nova_image_shim.observability.trace import ACCESS_LOGGER

_LONGEST_LINE = 2**16
_LONGEST_FIELD = 128
_NAME = ACCESS_LOGGER.encode()
# A prefix, such as the journal's, is ignored.
_TEXT = re.compile(
    rb"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)\.\d{3}(?:[+-]\d\d:\d\d)? \d+ INFO "
    + re.escape(_NAME)
    + rb' \[\S+ \S+ (\S+) (.+?)\] \S+ "\S+ \S+ \S+" status: (\d{3}) len: \S+ time: \S+ '
    rb"glance_calls: \d+ glance_time: \S+ keystone_calls: \d+ "
    rb"call: (\S+) images: (\d+|-) client: (\S+) "
)
_JSON = b'{"asctime":'
_UNPACK: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


class AccessRecord(NamedTuple):
    """One call, from its access line.

    Args:
        time: `YYYY-MM-DD HH:MM:SS`, UTC; in logs of older releases local time.
        client, version: the client's family and version, which is empty if unknown.
        project, user: ids, `-` for an unknown caller.
        call: such as `images.detail`.
        status: the answer's status.
        images: the number of images in a list; 0 for any other answer.
    """

    time: str
    client: str
    version: str
    project: str
    user: str
    call: str
    status: int
    images: int


def lines_of(name: str) -> Iterator[bytes]:
    """Yield a log's lines, decompressed if it is gzip, bzip2 or xz; one far too long is split.

    Args:
        name: a path, or `-` for standard input.

    Raises:
        OSError: the log cannot be read or unpacked.
    """
    log = sys.stdin.fileno() if name == "-" else name
    try:
        with open(log, "rb", closefd=name != "-") as file:
            start = file.peek(6)
            unpack = [_UNPACK[magic] for magic in _UNPACK if start.startswith(magic)]
            content = unpack[0](file) if unpack else file
            while line := content.readline(_LONGEST_LINE):
                yield line
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"{name}: cannot be unpacked: {error}") from error


def is_access_line(line: bytes) -> bool:
    """Tell whether a line should be readable with `read`."""
    return _NAME in line


def read(line: bytes) -> AccessRecord | None:
    """Return the record in an access line, None if it has another form."""
    start = line.find(_JSON)
    try:
        found = _from_text(line) if start < 0 else _from_json(line[start:])
        time, user, project, status, call, images, client = (
            text[:_LONGEST_FIELD] for text in found
        )
        family, _, version = client.partition("/")
        listed = 0 if images == "-" else int(images)
        time = time[:19].replace("T", " ")
        return AccessRecord(time, family, version, project, user, call, int(status), listed)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_text(line: bytes) -> list[str]:
    match = _TEXT.search(line)
    return [field.decode(errors="replace") for field in match.groups()] if match else []


def _from_json(line: bytes) -> list[str]:
    entry = orjson.loads(line)
    extra, context = entry["extra"], entry["context"]
    who = (context["user_id"], context["project_id"])
    what = (extra["call"], str(extra["images"]), extra["client"])
    return [entry["asctime"], *who, str(extra["status"]), *what]
