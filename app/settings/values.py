"""What the text of a setting may be: parsers, each of which says what is allowed.

All raise `WrongValue`, whose text says what is.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nova_image_shim.settings.brownout import Brownout
from nova_image_shim.translation.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_PORTS = range(1, 65536)
MOUNTS = ("v1.1", "v2", "v2.1")
COMPAT = (
    "no-previous-links",
    "no-image-size",
    "no-disk-config",
    "no-alternate-project",
    "raw-block-device-mapping",
)


class WrongValue(ValueError):
    """A value is not allowed; the text says what is."""


def integer(low: int, high: int) -> Callable[[str], int]:
    """Allow a whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise WrongValue(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(high: float) -> Callable[[str], float]:
    """Allow a time of more than 0 seconds, with or without a fraction."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or not 0 < float(text) <= high:
            raise WrongValue(f"seconds, more than 0 and at most {high:g}")
        return float(text)

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """Allow one of some words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise WrongValue(f"one of {', '.join(allowed)}")
        return text

    return parse


def interface(text: str) -> str:
    """Allow an interface of the catalog, `publicURL` for `public`."""
    return choice("public", "internal", "admin")(text.removesuffix("URL"))


def flag(text: str) -> bool:
    """Allow `1` and `0`."""
    if text not in {"0", "1"}:
        raise WrongValue("1 for on or 0 for off")
    return text == "1"


def url(text: str) -> str:
    """Return an http address without its final slashes."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\"\\?#@]", text):
        raise WrongValue("an address as http://host:port/path, without user, query and fragment")
    return text.rstrip("/")


def moment(text: str) -> datetime:
    """Allow a date or a time."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise WrongValue("an ISO 8601 date or time, in UTC unless it names a zone") from error


def link(text: str) -> str:
    """Allow any http address, to be shown to clients."""
    if not re.fullmatch(r"https?://[!#-;=?-~]+", text, re.ASCII):
        raise WrongValue("an address as https://host/path")
    return text


def brownout(text: str) -> Brownout:
    """Allow the rules of a brownout."""
    try:
        return Brownout.parse(text)
    except ValueError as error:
        raise WrongValue(str(error)) from error


def limit_or_none(text: str) -> int:
    """Allow a number of items, -1 for no limit."""
    if text == "-1":
        return -1
    try:
        return integer(0, 10**6)(text)
    except WrongValue as error:
        raise WrongValue(f"{error}, or -1 for none") from error


def mounts(text: str) -> tuple[str, ...]:
    """Return the mounts named, in the order of their versions."""
    named = _words(text, MOUNTS)
    return tuple(name for name in MOUNTS if name in named)


def compat(text: str) -> frozenset[str]:
    """Return the named deviations from the usual form of an answer."""
    return _words(text, COMPAT)


def _words(text: str, known: tuple[str, ...]) -> frozenset[str]:
    named = frozenset(name.strip() for name in text.split(","))
    if not named <= set(known):
        raise WrongValue(f"one or more of {', '.join(known)}, with commas between them")
    return named


def existing_file(text: str) -> Path:
    """Allow the path of a file."""
    path = Path(text)
    if not path.is_file():
        raise WrongValue("the path of a file that exists")
    return path


def servers(text: str) -> tuple[str, ...]:
    """Allow addresses of memcached."""
    servers = tuple(server.strip() for server in text.split(","))
    if not all(map(_host_and_port, servers)):
        raise WrongValue("host:port, several with commas between them")
    return servers


def address(text: str) -> str:
    """Allow an address to listen at."""
    if not _host_and_port(text):
        raise WrongValue("host:port, an IPv6 address in brackets")
    return text


def bind(text: str) -> str:
    """Allow the same and port 0: the line that says that we are ready tells which it became."""
    address(re.sub(r":0\Z", ":1", text))
    return text


def _host_and_port(text: str) -> bool:
    match = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[(.+)\]):(\d{1,5})", text, re.ASCII)
    if not match or int(match[2]) not in _PORTS:
        return False
    try:
        return match[1] is None or bool(ipaddress.IPv6Address(match[1]))
    except ValueError:
        return False
