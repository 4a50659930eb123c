"""The catalog in the service user's token: where things are, and what clients are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystoneauth1.exceptions import ClientException

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.check.findings import Fault, Finding, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keystoneauth1.access import AccessInfo
    from keystoneauth1.plugin import BaseAuthPlugin
    from keystoneauth1.session import Session

    from nova_image_shim.settings import Settings

_COMPUTE = ("compute", "compute_legacy")


def endpoint_of(
    session: Session, settings: Settings, plugin: BaseAuthPlugin, service_type: str, what: str
) -> str:
    """Return a service's address, for the region and interface that are set.

    Args:
        session: over which to log in, if need be.
        settings: say which endpoint.
        plugin: the service user's.
        service_type: `identity` or `image`.
        what: the service, for a person.

    Raises:
        Fault: the catalog has none.
    """
    keystone = settings.keystone
    token: AccessInfo = plugin.get_access(session)  # type: ignore[attr-defined] # an identity plugin
    try:
        url = token.service_catalog.url_for(
            service_type=service_type,
            interface=keystone.interface,
            region_name=keystone.region_name,
        )
    except ClientException:
        url = None
    if not url:
        raise _missing(settings, token, service_type, what)
    return url.rstrip("/")


def _missing(settings: Settings, token: AccessInfo, service_type: str, what: str) -> Fault:
    keystone = settings.keystone
    there = _endpoints(token, service_type)
    wanted = f"{keystone.interface} endpoint of {what}"
    if keystone.region_name:
        wanted += f" in the region {keystone.region_name}"
    if not there:
        return Fault(
            f"The catalog has no endpoint of {what} at all.",
            f"Create one (openstack endpoint create), for the service type {service_type}.",
        )
    regions = sorted({region for _, region, _ in there})
    if keystone.region_name and keystone.region_name not in regions:
        return Fault(
            f"The catalog has no {wanted}: its regions are {', '.join(regions)}.",
            "Set OS_REGION_NAME to one of them.",
        )
    interfaces = sorted({interface for interface, _, _ in there})
    return Fault(
        f"The catalog has no {wanted}: it has {', '.join(interfaces)}.",
        "Set OS_INTERFACE to one of them, or create the endpoint (openstack endpoint create).",
    )


def _endpoints(token: AccessInfo, *service_types: str) -> list[tuple[str, str, str]]:
    """Return interface, region and address of each endpoint."""
    catalog = token.service_catalog.get_endpoints_data() if token.has_service_catalog() else {}
    return [
        (str(data.interface).removesuffix("URL"), str(data.region_name), str(data.url))
        for service_type in service_types
        for data in catalog.get(service_type, [])
    ]


def link_findings(settings: Settings, token: AccessInfo, glance: str) -> Iterator[Finding]:
    """Look at what our links will show to clients.

    Args:
        settings: say how links begin.
        token: whose catalog tells what is public.
        glance: the address of Glance that the service uses.
    """
    yield from _own_links(settings, token)
    yield from _alternate_links(settings, token, glance)


def _own_links(settings: Settings, token: AccessInfo) -> Iterator[Finding]:
    public = [url for interface, _, url in _endpoints(token, *_COMPUTE) if interface == "public"]
    secure = [url for url in public if url.startswith("https://")]
    prefix = settings.compute_link_prefix
    if secure and prefix and prefix.startswith("http://"):
        yield warning(
            f"Links begin with {prefix}, and clients come by {secure[0]}.",
            "Write https:// in SHIM_COMPUTE_LINK_PREFIX.",
        )
    if secure and not prefix and not settings.trusted_proxies:
        yield warning(
            f"Clients come by {secure[0]}, and links will begin with http://, since nothing tells "
            "the service of the TLS in front of it.",
            "Set SHIM_TRUSTED_PROXIES to the number of proxies that set X-Forwarded-Proto, or "
            "SHIM_COMPUTE_LINK_PREFIX to the public address.",
        )


def _alternate_links(settings: Settings, token: AccessInfo, glance: str) -> Iterator[Finding]:
    public = [
        without_version(url)
        for interface, _, url in _endpoints(token, "image")
        if interface == "public"
    ]
    shown = settings.glance_link_prefix or without_version(glance)
    if not public or shown in public:
        return
    if not settings.glance_link_prefix:
        yield warning(
            f"`alternate` links show clients {shown}, which is not Glance's public address.",
            f"Set SHIM_GLANCE_LINK_PREFIX to {public[0]}",
        )
    elif shown.startswith("http://") and public[0].startswith("https://"):
        yield warning(
            f"`alternate` links begin with {shown}, and Glance's public address is {public[0]}.",
            "Write https:// in SHIM_GLANCE_LINK_PREFIX.",
        )
