"""Parsers of settings: from text to value.

All raise `ValueError` with a text such as "must be a whole number from 1 to 256".
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from nova_image_shim.adapters.address import Address, Server, UnixSocket, memcached_server
from nova_image_shim.translation.times import parse_time

_T = TypeVar("_T")
_HOST_AND_PORT = "must be host:port, with an IPv6 address in brackets"
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # a certificate's name in a directory of OpenSSL's
_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)
_LONGEST_SOCKET_PATH = 107  # bytes; the kernel's limit


def _explained(parse: Callable[[str], _T], allowed: str) -> Callable[[str], _T]:
    """Return a parser whose errors say what is allowed."""

    def parse_or_explain(text: str) -> _T:
        try:
            return parse(text)
        except (ValueError, KeyError, OSError) as error:
            raise ValueError(allowed) from error

    return parse_or_explain


def integer(low: int, high: int) -> Callable[[str], int]:
    """Allow a whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(high: float) -> Callable[[str], float]:
    """Allow a time of more than 0 seconds, with or without a fraction."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or not 0 < float(text) <= high:
            raise ValueError(f"must be a number of seconds above 0 and up to {high:g}")
        return float(text)

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """Allow one of some words."""
    known = {word: word for word in allowed}
    return _explained(known.__getitem__, f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def words(*known: str) -> Callable[[str], tuple[str, ...]]:
    """Allow one or more of some words, and return them in the order in which they are known."""

    def parse(text: str) -> tuple[str, ...]:
        return tuple(sorted({name.strip() for name in text.split(",")}, key=known.index))

    return _explained(parse, f"must be one or more of {', '.join(known)}, separated by commas")


def interface(text: str) -> str:
    """Allow an interface of the catalog, `publicURL` for `public`."""
    return choice("public", "internal", "admin")(text.removesuffix("URL"))


def url(text: str) -> str:
    """Return an http address without its final slashes."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\"\\?#@]", text):
        raise ValueError(
            "must be an address such as http://host:port/path, without user, query or fragment"
        )
    return text.rstrip("/")


def link(text: str) -> str:
    """Allow any http address, to be shown to clients."""
    if not re.fullmatch(r"https?://[!#-;=?-~]+", text, re.ASCII):
        raise ValueError("must be an address such as https://host/path")
    return text


def id_(text: str) -> str:
    """Allow an id of Keystone's."""
    if not re.fullmatch(r"[\w-]{1,64}", text, re.ASCII):
        raise ValueError("must be an id: 1 to 64 letters, digits, - or _")
    return text


def existing_file(text: str) -> Path:
    """Allow the path of a file."""
    path = Path(text)
    if not is_file(path):
        raise ValueError("must be the path of an existing file")
    return path


def certificates(text: str) -> Path:
    """Allow the path of a CA bundle, or of a directory as `openssl rehash` prepares it."""
    path = Path(text)
    if not (is_file(path) or _is_rehashed(path)):
        raise ValueError(
            "must be the path of an existing file, or of a directory of certificates that "
            "`openssl rehash` has prepared"
        )
    return path


def is_file(path: Path) -> bool:
    """Tell whether a path leads to a file."""
    try:
        return path.is_file()
    except OSError:  # in a directory that may not be entered
        return False


def _is_rehashed(folder: Path) -> bool:
    try:
        return any(_HASHED.fullmatch(file.name) for file in folder.glob("*.*"))
    except OSError:
        return False


def flag(text: str) -> bool:
    """Allow the words of oslo.config for on and off."""
    try:
        return _SWITCH[text.lower()]
    except KeyError as error:
        raise ValueError("must be 1 (on) or 0 (off)") from error


def is_off(text: str) -> bool:
    """Tell whether a text is one of the words for off."""
    return _SWITCH.get(text.strip().lower()) is False


def host_names(text: str) -> tuple[str, ...]:
    """Allow one or more names of this machine, and return them in lower case."""
    names = tuple(name.strip().lower() for name in text.split(","))
    if not all(re.fullmatch(r"[a-z0-9._-]+", name) for name in names):
        raise ValueError("must be one or more host names without a port, separated by commas")
    return names


def _with_port(text: str) -> Address:
    found = Address.parse(text)
    if not found.port:
        raise ValueError(text)
    return found


def _servers(text: str) -> tuple[Server, ...]:
    return tuple(memcached_server(server.strip()) for server in text.removesuffix(",").split(","))


def _bind(text: str) -> Address | UnixSocket:
    if not text.startswith("unix:/"):
        return Address.parse(text)
    path = Path("/", text.removeprefix("unix:").lstrip("/"))
    is_free = path.parent.is_dir() and (path.is_socket() or not path.exists())
    if not is_free or len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise ValueError(text)
    return UnixSocket(str(path))


moment = _explained(parse_time, "must be an ISO 8601 date or time, in UTC unless it names a zone")
bind = _explained(  # port 0 lets the system choose one
    _bind, f"{_HOST_AND_PORT}, or unix:/path with up to 107 bytes in an existing folder"
)
address = _explained(_with_port, _HOST_AND_PORT)
servers = _explained(
    _servers,
    "must be one or more of host, host:port, [IPv6]:port and unix:/path, separated by commas",
)
