"""Access lines, read back from text or JSON, plain or compressed, in bounded memory."""

import bz2
import gzip
import lzma
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import IO, NamedTuple, cast

import orjson

from nova_image_shim.observability.trace import ACCESS_LOGGER

_LONGEST_LINE = 2**16
_LONGEST_FIELD = 128
_NAME = ACCESS_LOGGER.encode()
# A prefix, such as the journal's, is ignored.
_TEXT = re.compile(
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{3} \d+ INFO "
    + re.escape(_NAME)
    + rb' \[\S+ \S+ (\S+) (.+?)\] \S+ "\S+ \S+ \S+" status: (\d{3}) len: \S+ time: \S+ '
    rb"glance_calls: \d+ glance_time: \S+ keystone_calls: \d+ "
    rb"call: (\S+) images: (\d+|-) client: (\S+) "
)
_JSON = b'{"asctime":'


class AccessRecord(NamedTuple):
    """One call, from its access line.

    Args:
        time: `YYYY-MM-DD HH:MM:SS`, local time of the machine that wrote the line.
        client: the client's family.
        version: the client's version, empty if unknown.
        project: the project's id, `-` for an unknown caller.
        user: the user's id, `-` for an unknown caller.
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


def opened(file: BufferedReader) -> IO[bytes]:
    """Return the file's content, decompressed if it is gzip, bzip2 or xz."""
    start = file.peek(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file)
    return file


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; one that is far too long is split."""
    while line := file.readline(_LONGEST_LINE):
        yield line


def is_access_line(line: bytes) -> bool:
    """Tell whether a line should be readable with `read`."""
    return _NAME in line


def read(line: bytes) -> AccessRecord | None:
    """Return the record in an access line, None if it has another form."""
    start = line.find(_JSON)
    return _from_text(line) if start < 0 else _from_json(line[start:])


def _from_text(line: bytes) -> AccessRecord | None:
    if not (match := _TEXT.search(line)):
        return None
    time, user, project, status, call, images, client = (
        field[:_LONGEST_FIELD].decode(errors="replace") for field in match.groups()
    )
    return AccessRecord(time, *_split(client), project, user, call, int(status), _number(images))


def _from_json(line: bytes) -> AccessRecord | None:
    try:
        entry = orjson.loads(line)
        extra, context = entry["extra"], entry["context"]
        return AccessRecord(
            entry["asctime"][:19],
            *_split(extra["client"][:_LONGEST_FIELD]),
            context["project_id"][:_LONGEST_FIELD],
            context["user_id"][:_LONGEST_FIELD],
            extra["call"][:_LONGEST_FIELD],
            int(extra["status"]),
            _number(extra["images"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _split(client: str) -> tuple[str, str]:
    family, _, version = client.partition("/")
    return family, version


def _number(images: str | int) -> int:
    return 0 if images == "-" else int(images)
