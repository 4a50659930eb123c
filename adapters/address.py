"""Addresses: `host:port` or a Unix socket, parsed once, and URLs of services."""

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple, Self

_TEXT = re.compile(r"(?:([A-Za-z0-9._-]+)|\[(.+)\]):(0|[1-9]\d{0,4})", re.ASCII)
_SERVER = re.compile(r"(inet6?:)?(\[[^][]+\]|[^][:]+)(?::(\d+))?", re.ASCII)
_MEMCACHED_PORT = 11211
_VERSION = re.compile(r"/v\d+(?:\.\d+)?\Z", re.ASCII)


class Address(NamedTuple):
    """A host, IPv6 without brackets, and a port: the tuple that `socket` takes."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port` or `[IPv6]:port`.

        Raises:
            ValueError: the text has another form.
        """
        match = _TEXT.fullmatch(text)
        if not match or int(match[3]) >= 2**16 or not (match[1] or _is_ipv6(match[2])):
            raise ValueError(f"{text!r} is not host:port or [IPv6]:port")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixSocket(NamedTuple):
    """The absolute path of a socket that only processes of this machine can connect to."""

    path: str

    @property
    def host(self) -> str:
        """Return the host that it counts as."""
        return "localhost"

    def __str__(self) -> str:
        return f"unix:{self.path}"


Server = Address | UnixSocket


def memcached_server(text: str) -> Server:
    """Read an item of auth_token's `memcached_servers`.

    The forms are `host:port`, `[IPv6]:port`, both with or without `inet:` or `inet6:`,
    `inet:[host]:port`, and `unix:/path`. The port is 11211 unless given.

    Raises:
        ValueError: the text has another form.
    """
    if text.startswith("unix:/"):
        return UnixSocket(text.removeprefix("unix:"))
    match = _SERVER.fullmatch(text)
    family, host, port = match.groups() if match else ("", "", "")
    if family and not _is_ipv6(host.strip("[]")):
        host = host.strip("[]")
    server = Address.parse(f"{host}:{port or _MEMCACHED_PORT}")
    if not server.port:
        raise ValueError(f"{text!r} has the port 0")
    return server


def _is_ipv6(host: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether a host is an address of this machine that no other can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=256)
def without_version(url: str) -> str:
    """Return an endpoint without a version at its end: `/v2`, `/v2.0`, `/v3/`; no final slash."""
    return _VERSION.sub("", url.rstrip("/")).rstrip("/")
