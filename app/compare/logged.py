"""Requests of real clients, from the logs of this service, nova-api, nginx or HAProxy.

All of them write the request between quotes, with or without its protocol or status.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from nova_image_shim.compare.sides import METHODS, CannotCompareError
from nova_image_shim.observability.redaction import REDACTED
from nova_image_shim.usage.files import distinct, lines_of

_REQUEST = re.compile(rb'"([A-Z]{3,16}) (\S{1,8192}?)(?: HTTP/[\d.]+| \d{3})?\\*"')
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")  # by nginx
_PATH = re.compile(
    r"(?:https?://[^/]+)?(?:/[^/?]+)*?(/(?:v1\.1|v2|v2\.1)/(?:([^/?]+)/)?images(?:\.\w+)?(?:[/?].*)?)"
)
_CUT = "..."  # ends what a log has shortened
_MOST = 100_000


def requests_in(logs: Iterable[str], project: str, counts: Counter[str]) -> Iterator[str]:
    """Yield each request that reads images of a project, once; count all by what became of them.

    Args:
        logs: paths, or `-` for standard input.
        project: the token's.
        counts: `read`, `repeated`, `writes`, `other projects`, `other calls`, `cut short`.

    Raises:
        CannotCompareError: a log cannot be read or unpacked.
    """
    seen: set[str] = set()
    for log in distinct(logs):
        counts["read"] += 0
        for line in _lines(log):
            if found := _REQUEST.search(line):
                request, what = _judged(
                    found[1].decode(), found[2].decode(errors="replace"), project
                )
                what = "repeated" if what == "read" and request in seen else what
                counts[what] += 1
                if what == "read" and len(seen) < _MOST:
                    seen.add(request)
                    yield request


def _lines(log: str) -> Iterator[bytes]:
    try:
        yield from lines_of(log)
    except OSError as error:
        raise CannotCompareError(f"{log}: {error.strerror or error}") from error


def _judged(method: str, target: str, project: str) -> tuple[str, str]:
    path = _PATH.fullmatch(_ESCAPED.sub(r"%\1", target))
    if path is None:
        return "", "other calls"
    if method not in METHODS:
        return "", "writes"
    if path[2] is not None and unquote(path[2]) != project:
        return "", "other projects"
    if path[1].endswith(_CUT) or REDACTED in path[1]:
        return "", "cut short"
    return f"{method} {path[1]}", "read"
