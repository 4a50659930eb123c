"""Settings of identity v2.0 that are valid, but not what an operator wants."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from nova_image_shim.adapters.address import Address, is_loopback
from nova_image_shim.settings import Settings

_PORTS = {"http": 80, "https": 443}
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
_OWN = (
    "SHIM_IDENTITY_V2_CATALOG names this service as compute, at {url}: clients that log in with "
    "v2.0 lose servers, flavors and keypairs"
)
_OWN_FIX = "Set the address of the proxy that sends image calls here and the rest to nova-api."
_PLAIN = "Passwords are sent to Keystone without TLS, at {url}"
_PLAIN_FIX = "Set OS_AUTH_URL to an https address, if that network is not private."
_OPEN = (
    "SHIM_IDENTITY_V2=1 at {bind} without SHIM_TRUSTED_PROXIES: unless gunicorn itself has a "
    "certificate, clients send their passwords without TLS"
)
_OPEN_FIX = "Put a proxy that ends TLS in front, and set SHIM_TRUSTED_PROXIES."


def problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, each with its fix; both are for the log and for `check`."""
    for entry in settings.identity_v2_catalog:
        if entry.type == "compute" and _is_own(entry.url, settings):
            yield _OWN.format(url=entry.url), _OWN_FIX
    auth_url = urlsplit(settings.keystone.auth_url or "")
    if auth_url.scheme == "http" and not is_loopback(auth_url.hostname or ""):
        yield _PLAIN.format(url=settings.keystone.auth_url), _PLAIN_FIX
    if not (settings.trusted_proxies or is_loopback(settings.bind.host)):
        yield _OPEN.format(bind=settings.bind), _OPEN_FIX


def _is_own(url: str, settings: Settings) -> bool:
    """Tell whether an address is where this service listens."""
    parts, bind = urlsplit(url), settings.bind
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if not isinstance(bind, Address) or port != bind.port:
        return False
    is_machine = is_loopback(host) or host in {socket.gethostname(), socket.getfqdn()}
    if bind.host in _ANY or is_loopback(bind.host):
        return is_machine
    return host == bind.host
