"""One call of the check: what went wrong on the way, in words, and what the clocks say."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import requests
from keystoneauth1 import exceptions

from nova_image_shim.adapters.keystone.login import load_plugin
from nova_image_shim.auth.keystone import open_keystone
from nova_image_shim.check.findings import Fault, Finding, Level, fine, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keystoneauth1.plugin import BaseAuthPlugin
    from keystoneauth1.session import Session

    from nova_image_shim.settings import Settings

_SKEW_WARNED, _SKEW_FATAL = 10, 120  # seconds


def open_session(settings: Settings) -> Session:
    """Return the service's own session with Keystone."""
    return open_keystone(settings).session


def plugin_of(settings: Settings) -> BaseAuthPlugin:
    """Return the plugin that logs the service user in, as the service does."""
    return load_plugin(settings.keystone.credentials())


def get(session: Session, url: str, what: str, setting: str, **request: Any) -> requests.Response:
    """Ask for an address and return the answer, whatever its status.

    Args:
        session: over which.
        url: the address.
        what: whose address it is, for a person.
        setting: which setting names it.
        request: as for `Session.get`.

    Raises:
        Fault: there is no answer.
    """
    try:
        answer: requests.Response = session.get(url, raise_exc=False, **request)
    except exceptions.SSLError as error:
        raise _tls_fault(error, url, what, setting) from error
    except (exceptions.ConnectionError, requests.RequestException) as error:
        raise Fault(
            f"{what} does not answer at {url}: {reason_of(error)}.",
            f"Start it, open the way to it, or mend {setting}.",
        ) from error
    return answer


def _tls_fault(error: Exception, url: str, what: str, setting: str) -> Fault:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message.rstrip(".")
            return Fault(
                f"{what}'s certificate at {url} is not trusted: {why}.",
                "Set OS_CACERT to a file with the certificate of the authority that signed it, "
                f"or mend the certificate or {setting}.",
            )
    return Fault(
        f"{what} at {url} speaks no TLS: {reason_of(error)}.",
        f"Write http:// in {setting}, or have it speak TLS.",
    )


def reason_of(error: BaseException) -> str:
    """Return the innermost reason that has words of its own: `Connection refused`."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return f"the host's name is unknown ({cause.strerror})"
        if isinstance(cause, TimeoutError | requests.Timeout):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    if any("timed out" in str(cause) for cause in causes):
        return "no answer in time"
    return str(error).partition("\n")[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from, outermost first."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            inner = getattr(found, "reason", None)
            waiting += [found.__cause__, found.__context__, inner, *found.args]


def clock_findings(answer: requests.Response, what: str) -> Iterator[Finding]:
    """Compare an answer's `Date` with this machine's clock."""
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return
    if theirs.tzinfo is None:  # `-0000`, a zone that is not told
        theirs = theirs.replace(tzinfo=UTC)
    skew = round((theirs - datetime.now(UTC)).total_seconds())
    if abs(skew) <= _SKEW_WARNED:
        yield fine(f"{what}'s clock agrees with this machine's.")
        return
    direction = "ahead of" if skew > 0 else "behind"
    text = f"{what}'s clock is {abs(skew)} seconds {direction} this machine's."
    mend = "Run NTP on both: tokens are held for expired too early, or believed too long."
    yield Finding(Level.ERROR, text, mend) if abs(skew) > _SKEW_FATAL else warning(text, mend)
