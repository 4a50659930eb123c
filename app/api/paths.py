"""Rewrite the paths that legacy Nova accepted, before Flask routes them.

Old clients send `//images`, `images/detail.json` and worse, and some do not follow redirects.
"""

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_SLASHES = re.compile("//+")
_BELOW_MOUNT = re.compile(r"/(v1\.1|v2|v2\.1)/.+", re.DOTALL)
_SUFFIX = re.compile(r"\.(?:json|xml)\Z")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class LegacyPaths:
    """Merge slashes and remove a suffix; `.xml` gets JSON, too, as in Nova 12.0.0."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Rewrite the path and call the application."""
        path = _SLASHES.sub("/", environ.get("PATH_INFO", "")) or "/"
        if is_below_mount(path):
            path = _SUFFIX.sub("", path)
        environ["PATH_INFO"] = path
        return self._app(environ, start_response)


def is_below_mount(path: str) -> bool:
    """Return whether a path needs a token: below a version, even below one that is not served."""
    return _BELOW_MOUNT.fullmatch(path) is not None


def is_unroutable(environ: WSGIEnvironment) -> bool:
    """Return whether a path has an encoded slash or is not UTF-8, so that no route can match.

    WSGI decodes the path, so this looks for the slash in the raw request target.
    """
    try:
        environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    return _ENCODED_SLASH.search(target) is not None
