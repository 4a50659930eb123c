"""Glance as the service uses it, and the links to it."""

from collections.abc import Iterator

from keystoneauth1.access import AccessInfo
from keystoneauth1.session import Session

from nova_image_shim.adapters.address import without_version
from nova_image_shim.check.catalog import endpoints
from nova_image_shim.check.failures import public_address
from nova_image_shim.check.findings import Finding, warning
from nova_image_shim.check.wire import Step
from nova_image_shim.settings import Settings

_ADDRESS_FIX = "Correct {origin}: it must be the image service's address."
_SAME_KEYSTONE = "Name the same Keystone in [keystone_authtoken] of glance-api.conf."
_READER = "Give the service user the role reader in its project, besides service."


def list_step(session: Session, address: str, origin: str) -> Step:
    """Return the step of a list; the origin is what has Glance's address."""

    def advise(status: int, said: str) -> str:
        if status in {300, 404}:
            return _ADDRESS_FIX.format(origin=origin)
        return {401: _SAME_KEYSTONE, 403: _READER}.get(status, "") if said else ""

    return Step(
        failed="Images cannot be listed",
        server="Glance",
        address=address,
        origin=origin,
        expected="a list of images",
        session=session,
        advise=advise,
    )


def link_findings(settings: Settings, token: AccessInfo, glance: str) -> Iterator[Finding]:
    """Compare the links in answers with the public addresses in the catalog."""
    public = _public(token, "compute", "compute_legacy")
    if secure := [url for url in public if url.startswith("https://")]:
        yield from _own_links(settings, secure[0])
    public = [without_version(url) for url in _public(token, "image")]
    shown = settings.glance_link_prefix or public_address(without_version(glance))
    if public and shown not in public:
        yield from _alternate_links(settings, shown, public[0])


def _own_links(settings: Settings, public: str) -> Iterator[Finding]:
    prefix = settings.compute_link_prefix
    if prefix and prefix.startswith("http://"):
        yield warning(
            f"Links begin with {prefix}, but clients use {public}.",
            "Use https:// in SHIM_COMPUTE_LINK_PREFIX.",
        )
    if not prefix and not settings.trusted_proxies:
        yield warning(
            f"Links begin with http://, but clients use {public}: the service does not know of "
            "the TLS in front of it.",
            "Set SHIM_TRUSTED_PROXIES to the number of proxies that set X-Forwarded-Proto, or "
            "SHIM_COMPUTE_LINK_PREFIX to the public address.",
        )


def _alternate_links(settings: Settings, shown: str, public: str) -> Iterator[Finding]:
    if not settings.glance_link_prefix:
        yield warning(
            f"`alternate` links show clients {shown}, which is not Glance's public address.",
            f"Set SHIM_GLANCE_LINK_PREFIX to {public}",
        )
    elif shown.startswith("http://") and public.startswith("https://"):
        yield warning(
            f"`alternate` links begin with {shown}, but Glance's public address is {public}.",
            "Use https:// in SHIM_GLANCE_LINK_PREFIX.",
        )


def _public(token: AccessInfo, *service_types: str) -> list[str]:
    found = endpoints(token, *service_types)
    return [url for interface, _, url in found if interface == "public"]
