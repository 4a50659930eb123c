"""Microversions on `/v2.1`: asked for in either header, answered in both.

2.35 is the highest here: the last in which Nova has every image call.

Source: nova at 34.0.0, nova/api/openstack/wsgi.py and api_version_request.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import microversion_parse
from flask import g, request

from nova_image_shim.api.errors import Fault

if TYPE_CHECKING:
    from flask import Response

MOUNT = "v2.1"
LOWEST, HIGHEST = (2, 1), (2, 35)

_LEGACY_HEADER = "X-OpenStack-Nova-API-Version"
_HEADER = "OpenStack-API-Version"
_VERSION = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)", re.ASCII)


def text(version: tuple[int, int]) -> str:
    """Return a version as the headers have it."""
    return "{}.{}".format(*version)


def require_known_version() -> None:
    """Take note of the version asked for; none is the lowest, `latest` the highest.

    Raises:
        Fault: 400 for what is no version, 406 for one that is not served.
    """
    asked = microversion_parse.get_version(request.environ, "compute", [_LEGACY_HEADER])
    version = {None: LOWEST, "latest": HIGHEST}.get(asked) or _parsed(asked or "")
    g.microversion = text(version)
    if not LOWEST <= version <= HIGHEST:
        raise Fault(
            406,
            f"Version {g.microversion} is not supported by the API. "
            f"Minimum is {text(LOWEST)} and maximum is {text(HIGHEST)}.",
        )


def _parsed(asked: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(asked)
    try:
        if match:
            return int(match[1]), int(match[2])
    except ValueError:  # more digits than Python converts
        pass
    raise Fault(
        400,
        f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.",
    )


def add_version_headers(response: Response) -> None:
    """Say which version was answered, on faults too; nothing where none was understood."""
    if version := g.get("microversion"):
        response.headers[_HEADER] = f"compute {version}"
        response.headers[_LEGACY_HEADER] = version
        response.vary.update((_HEADER, _LEGACY_HEADER))
