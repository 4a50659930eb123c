"""Paths as legacy Nova took them, in front of Flask's routing.

Old clients send `//images`, `images/detail.json` and worse, and some follow no redirect, so the
path is put right here and routed as if it had been sent so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_SLASHES = re.compile("//+")
_BELOW_MOUNT = re.compile(r"/(v1\.1|v2|v2\.1)/.+", re.DOTALL)
_SUFFIX = re.compile(r"\.(?:json|xml)\Z")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class LegacyPaths:
    """WSGI middleware: repeated slashes are one, and a final `.json` or `.xml` is cut off.

    Both suffixes are answered in JSON, as Nova 12.0.0 did.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Put the path right and pass the request on."""
        path = _SLASHES.sub("/", environ.get("PATH_INFO", "")) or "/"
        if is_below_mount(path):
            path = _SUFFIX.sub("", path)
        environ["PATH_INFO"] = path
        return self._app(environ, start_response)


def is_below_mount(path: str) -> bool:
    """Tell whether a path needs a token: all do below a mount, the version documents do not.

    That holds below a mount that is not served, too.
    """
    return _BELOW_MOUNT.fullmatch(path) is not None


def is_unroutable(environ: WSGIEnvironment) -> bool:
    """Tell whether a path cannot name anything: an encoded slash in it, or no UTF-8.

    WSGI has decoded the path, so the request's own target tells.
    """
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    if _ENCODED_SLASH.search(target):
        return True
    try:
        environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False
