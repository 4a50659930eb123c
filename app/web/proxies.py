"""What trusted proxies say about a request: its scheme, host, path prefix and client.

werkzeug's ProxyFix is not used: it accepts any text as a scheme or a prefix, lets a client's
unclosed quotation mark swallow a proxy's own entry, and does not know `Forwarded`.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SENT_HOST = "nova_image_shim.sent_host"  # the `Host` of the connection, in WSGI's environment
_SCHEMES = ("http", "https")
_X_FORWARDED = {
    name: f"HTTP_X_FORWARDED_{name.upper()}" for name in ("proto", "host", "prefix", "for")
}
_LONGEST_PREFIX = 255  # it is in every link of a list
_PREFIX = re.compile(r"(?:/[\w.~!$&()*+,;=:@%-]+)+/?", re.ASCII)
# One pair of a `Forwarded` header, and what ends it: an element's pairs are separated by `;`.
_PAIR = re.compile(r'\s*(?:([\w-]+)=(?:"([^"\\]*)"|([^\s;,"]+))\s*)?(?:([;,])|$)', re.ASCII)


class TrustedProxies:
    """WSGI middleware that applies what the outermost trusted proxy added to the headers.

    A value that is not a scheme, a path or an IP address is ignored: the connection's own stays in
    effect. `Forwarded` (RFC 7239) counts only in a request without any `X-Forwarded-*`.

    Args:
        app: the application; it must check `Host`, which may be any text.
        hops: how many proxies add an entry to each header.
    """

    def __init__(self, app: WSGIApplication, hops: int) -> None:
        self._app = app
        self._hops = hops

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Replace scheme, `Host`, script name and client address, and call the application."""
        entry = self._entry(environ)
        if (scheme := entry.get("proto", "").lower()) in _SCHEMES:
            environ["wsgi.url_scheme"] = scheme
        environ[SENT_HOST] = environ.get("HTTP_HOST")
        if host := entry.get("host"):
            environ["HTTP_HOST"] = host
        if _is_path(prefix := entry.get("prefix", "")):
            environ["SCRIPT_NAME"] = prefix
        if client := _ip_address(entry.get("for", "")):
            environ["REMOTE_ADDR"] = client
        return self._app(environ, start_response)

    def _entry(self, environ: WSGIEnvironment) -> Mapping[str, str]:
        """Return what the outermost trusted proxy said: `proto`, `host`, `prefix`, `for`."""
        forwarded = environ.get("HTTP_FORWARDED")
        if forwarded and not any(name.startswith("HTTP_X_FORWARDED_") for name in environ):
            elements = _elements(forwarded)
            return elements[-self._hops] if len(elements) >= self._hops else {}
        found = {}
        for name, header in _X_FORWARDED.items():
            values = environ.get(header, "").split(",")
            if len(values) >= self._hops:
                found[name] = values[-self._hops].strip()
        return found


def _elements(forwarded: str) -> list[dict[str, str]]:
    """Return the elements of a `Forwarded` header, none if any of it is malformed.

    A lenient parser could take text that a client sent for part of a proxy's element.
    """
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(forwarded):
        match = _PAIR.match(forwarded, position)
        if not match:
            return []
        name, quoted, token, end = match.groups()
        if name:
            elements[-1][name.lower()] = quoted if token is None else token
        if end == ",":
            elements.append({})
        position = match.end()
    return [element for element in elements if element]


def _is_path(prefix: str) -> bool:
    return 0 < len(prefix) <= _LONGEST_PREFIX and _PREFIX.fullmatch(prefix) is not None


def _ip_address(node: str) -> str:
    """Return the address in `192.0.2.1`, `192.0.2.1:80`, `::1` or `[::1]:80`; empty for others."""
    host = node[1:].partition("]")[0] if node.startswith("[") else node
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))  # a zone may be any text
    except ValueError:
        return ""
