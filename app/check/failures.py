"""Calls without an answer: from what was raised to words, and to a fix where the cause is certain.

A fix never makes TLS weaker.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from keystoneauth1.session import Session
from requests.exceptions import ProxyError
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

_IN_PYTHON = re.compile(r" \(_ssl\.c:\d+\)")
_USER = re.compile(r"(?<=//)[^/?#\s]*@")
_PROXY_FIX = "Correct the proxy in the environment, or add the host to no_proxy."
_TIMEOUT = "no answer in time"
_NO_TLS = "Enable TLS on that port, or correct {origin}."
_OLD_TLS = "Enable TLS 1.2 or newer on the server, which speaks only older versions."
_TRUST = (
    "Set OS_CACERT to a file with the certificate of its authority, or replace the certificate."
)
_OTHER_NAME = "Correct {origin}, or replace the certificate with one for that name."
_PERIOD = "Replace the certificate, or correct this machine's clock."
_CERTIFICATES = {  # by the code of OpenSSL's verification, X509_V_ERR_*
    **dict.fromkeys((9, 10), _PERIOD),
    **dict.fromkeys((18, 19, 20, 21), _TRUST),
    **dict.fromkeys((62, 64), _OTHER_NAME),
}
_HANDSHAKES = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "Correct {origin}: the server demands a client certificate, and the service has none."
    ),
}
_CONNECTIONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((NameResolutionError,), "Correct {origin}, or how this machine resolves names."),
    (
        (NewConnectionError, ConnectTimeoutError),
        "Start it, open the network to it, or correct {origin}.",
    ),
)


def words_for(
    error: Exception, session: Session, url: str, origin: str, proxy: str
) -> tuple[str, str]:
    """Return what became of a call without an answer, as the end of a sentence, and the fix.

    Args:
        error: what was raised.
        session: made the call.
        url: was called.
        origin: what has the address.
        proxy: the address of the proxy on the way, empty without one.
    """
    causes, reason = list(causes_of(error)), reason_of(error)
    if unusable := _unusable_bundle(session, url):
        return unusable
    unconnected = [fix for kinds, fix in _CONNECTIONS if _first(causes, *kinds)]
    if _first(causes, ProxyError) or (proxy and unconnected):
        return f"cannot be reached, because the proxy fails: {reason}", _PROXY_FIX
    if certificate := _first(causes, ssl.SSLCertVerificationError):
        words = f"has a certificate that is not trusted: {certificate.verify_message}"
        return words, _CERTIFICATES.get(certificate.verify_code, "").format(origin=origin)
    if handshake := _first(causes, ssl.SSLError):
        fix = _HANDSHAKES.get(handshake.reason, "").format(origin=origin)
        return f"does not agree on TLS: {reason}", fix
    verb = "does not answer" if unconnected or reason == _TIMEOUT else "fails"
    return f"{verb}: {reason}", "".join(unconnected[:1]).format(origin=origin)


def _first(causes: list[BaseException], *kinds: type[BaseException]) -> Any:
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def causes_of(error: BaseException) -> Iterator[BaseException]:
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


def reason_of(error: BaseException) -> str:
    """Return the innermost reason that is readable: `Connection refused`."""
    causes = list(causes_of(error))
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return f"unknown host name ({cause.strerror})"
        if isinstance(cause, TimeoutError | requests.Timeout):
            return _TIMEOUT
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return cause.reason.replace("_", " ").lower()
        if isinstance(cause, OSError) and cause.strerror:
            return _IN_PYTHON.sub("", cause.strerror)
    if any("timed out" in str(cause) for cause in causes):
        return _TIMEOUT
    return next(text for cause in reversed(causes) if (text := str(cause) or repr(cause)))


def raised_on_the_wire(error: BaseException) -> OSError | None:
    """Return the error of the connection; None if there was an answer, however odd."""
    for cause in causes_of(error):
        if isinstance(cause, OSError) and not isinstance(cause, requests.JSONDecodeError):
            return cause
    return None


def flaw_in(address: str) -> str:
    """Return why nothing can be asked at an address, empty if something can."""
    if any(char.isspace() or not char.isprintable() for char in address):
        return "contains a blank or a control character"
    try:
        parts = urlsplit(address)
        complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        return f"cannot be read: {error}"
    return "" if complete else "does not begin with http:// or https:// and a host"


def without_users(text: str) -> str:
    """Return a text without the users and passwords of the addresses in it."""
    return _USER.sub("", text)


def public_address(url: str) -> str:
    """Return an address without user, password, query and fragment."""
    return re.split("[?#]", without_users(url))[0]


def _unusable_bundle(session: Session, url: str) -> tuple[str, str] | None:
    """Return words and fix where the file of authorities for an address has no certificates."""
    merge = session.session.merge_environment_settings
    bundle = merge(url, {}, None, session.verify, None)["verify"]
    if not (url.startswith("https:") and isinstance(bundle, str)) or Path(bundle).is_dir():
        return None
    try:
        ssl.create_default_context(cafile=bundle)
    except OSError as error:
        name = "OS_CACERT" if session.verify == bundle else "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
        words = f"was not called, because {bundle} has no certificate: {reason_of(error)}"
        return words, f"Set {name} to a file of certificates in PEM form."
    return None
