"""What the check's steps share: answers, endpoints, clocks, and failures in words."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.access import AccessInfo

from nova_image_shim.check.findings import CheckFailed, Finding, Level, ok, warning
from nova_image_shim.settings import Keystone

_SKEW_WARNED, _SKEW_FATAL = 10, 120  # seconds


def answer_from(
    what: str, url: str, setting: str, call: Callable[[], requests.Response]
) -> requests.Response:
    """Return the answer of a server, unless it fails.

    Args:
        what: the server, for a person.
        url: its address.
        setting: the setting that holds the address.
        call: makes the request.

    Raises:
        CheckFailed: there is no answer, or a 5xx.
    """
    try:
        answer = call()
    except exceptions.SSLError as error:
        raise _tls_failure(error, url, what, setting) from error
    except (exceptions.ConnectionError, requests.RequestException) as error:
        raise CheckFailed(
            f"{what} does not answer at {url}: {reason_of(error)}.",
            f"Start it, open the network to it, or correct {setting}.",
        ) from error
    if answer.status_code >= 500:
        raise CheckFailed(
            f"{what} at {url} returns {answer.status_code}.",
            f"See the logs of {what} and of the proxy in front of it.",
        )
    return answer


def _tls_failure(error: Exception, url: str, what: str, setting: str) -> CheckFailed:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CheckFailed(
                f"{what}'s certificate at {url} is not trusted: "
                f"{cause.verify_message.rstrip('.')}.",
                "Set OS_CACERT to a file with the certificate of its authority, or correct the "
                f"certificate or {setting}.",
            )
    return CheckFailed(
        f"{what} at {url} does not speak TLS: {reason_of(error)}.",
        f"Use http:// in {setting}, or enable TLS there.",
    )


def reason_of(error: BaseException) -> str:
    """Return the innermost reason that is readable: `Connection refused`."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return f"unknown host name ({cause.strerror})"
        if isinstance(cause, TimeoutError | requests.Timeout):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    if any("timed out" in str(cause) for cause in causes):
        return "no answer in time"
    return str(error).partition("\n")[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything that caused it, outermost first."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            inner = getattr(found, "reason", None)
            waiting += [found.__cause__, found.__context__, inner, *found.args]


def missing_endpoint(user: Keystone, token: AccessInfo, kind: str, what: str) -> CheckFailed:
    """Return the error that the catalog lacks a service, with the endpoints that it has."""
    where = f" in the region {user.region_name}" if user.region_name else ""
    there = {f"{interface} in {region}" for interface, region, _ in endpoints_in(token, kind)}
    return CheckFailed(
        f"The catalog has no {user.interface} endpoint of {what}{where}: it has "
        f"{', '.join(sorted(there)) or 'none'}.",
        "Set OS_INTERFACE and OS_REGION_NAME to one of them, or create the endpoint (openstack "
        "endpoint create).",
    )


def endpoints_in(token: AccessInfo, *service_types: str) -> list[tuple[str, str, str]]:
    """Return interface, region and address of each endpoint."""
    catalog = token.service_catalog.get_endpoints_data() if token.has_service_catalog() else {}
    return [
        (str(data.interface).removesuffix("URL"), str(data.region_name), str(data.url))
        for service_type in service_types
        for data in catalog.get(service_type, [])
    ]


def clock_findings(answer: requests.Response, what: str) -> Iterator[Finding]:
    """Compare an answer's `Date` with this machine's clock."""
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return
    if theirs.tzinfo is None:  # `-0000`, an unknown zone
        theirs = theirs.replace(tzinfo=UTC)
    skew = round((theirs - datetime.now(UTC)).total_seconds())
    if abs(skew) <= _SKEW_WARNED:
        yield ok(f"{what}'s clock agrees with this machine's.")
        return
    direction = "ahead of" if skew > 0 else "behind"
    text = f"{what}'s clock is {abs(skew)} seconds {direction} this machine's."
    fix = "Run NTP on both: otherwise tokens expire too early or are accepted too long."
    yield Finding(Level.ERROR, text, fix) if abs(skew) > _SKEW_FATAL else warning(text, fix)
