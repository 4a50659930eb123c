"""Microversions on `/v2.1`: requested in one of two headers, returned in both.

2.35 is the highest served, because it is the last in which Nova has every image call.

Source: nova at 34.0.0, nova/api/openstack/wsgi.py and api_version_request.py.
"""

import re
from contextlib import suppress

import microversion_parse
from flask import Response, g, request

from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import vary

MOUNT = "v2.1"
LOWEST, HIGHEST = (2, 1), (2, 35)

_LEGACY_HEADER = "X-OpenStack-Nova-API-Version"
_HEADER = "OpenStack-API-Version"
_VERSION = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)", re.ASCII)


def text(version: tuple[int, int]) -> str:
    """Return a version as the headers write it."""
    return "{}.{}".format(*version)


def require_known_version() -> None:
    """Store the requested version in `g`; the default is the lowest, `latest` the highest.

    Raises:
        HTTPError: 400 for a malformed version, 406 for one that is not served.
    """
    requested = microversion_parse.get_version(request.environ, "compute", [_LEGACY_HEADER])
    version = {None: LOWEST, "latest": HIGHEST}.get(requested) or _parsed(requested or "")
    g.microversion = text(version)
    if not LOWEST <= version <= HIGHEST:
        served = f"Minimum is {text(LOWEST)} and maximum is {text(HIGHEST)}."
        raise HTTPError(406, f"Version {g.microversion} is not supported by the API. {served}")


def _parsed(requested: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(requested)
    with suppress(ValueError):  # more digits than Python converts
        if match:
            return int(match[1]), int(match[2])
    problem = f"API Version String {requested} is of invalid format."
    raise HTTPError(400, f"{problem} Must be of format MajorNum.MinorNum.")


def add_version_headers(response: Response) -> None:
    """Add the version to every response, faults included, unless it could not be parsed."""
    if version := g.get("microversion"):
        response.headers[_HEADER] = f"compute {version}"
        response.headers[_LEGACY_HEADER] = version
        vary(response, _HEADER, _LEGACY_HEADER)
