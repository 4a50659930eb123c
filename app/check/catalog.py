"""The catalog in the service user's token: service endpoints and the addresses clients see."""

from collections.abc import Iterator

from keystoneauth1.access import AccessInfo
from keystoneauth1.exceptions import ClientException

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.check.findings import CheckFailed, Finding, warning
from nova_image_shim.check.http import Cloud
from nova_image_shim.settings import Keystone, Settings


def endpoint_of(cloud: Cloud, service_type: str, what: str) -> str:
    """Return a service's address, for the region and interface that are set.

    Args:
        cloud: whose catalog.
        service_type: `identity` or `image`.
        what: the service, for a person.

    Raises:
        CheckFailed: the catalog has none.
    """
    keystone = cloud.keystone
    token: AccessInfo = cloud.plugin.get_access(cloud.session)
    try:
        url = token.service_catalog.url_for(
            service_type=service_type,
            interface=keystone.interface,
            region_name=keystone.region_name,
        )
    except ClientException:
        url = None
    if not url:
        raise _missing(keystone, token, service_type, what)
    return url.rstrip("/")


def _missing(keystone: Keystone, token: AccessInfo, service_type: str, what: str) -> CheckFailed:
    where = f" in the region {keystone.region_name}" if keystone.region_name else ""
    there = {f"{interface} in {region}" for interface, region, _ in _endpoints(token, service_type)}
    return CheckFailed(
        f"The catalog has no {keystone.interface} endpoint of {what}{where}: it has "
        f"{', '.join(sorted(there)) or 'none'}.",
        "Set OS_INTERFACE and OS_REGION_NAME to one of them, or create the endpoint (openstack "
        "endpoint create).",
    )


def _endpoints(token: AccessInfo, *service_types: str) -> list[tuple[str, str, str]]:
    """Return interface, region and address of each endpoint."""
    catalog = token.service_catalog.get_endpoints_data() if token.has_service_catalog() else {}
    return [
        (str(data.interface).removesuffix("URL"), str(data.region_name), str(data.url))
        for service_type in service_types
        for data in catalog.get(service_type, [])
    ]


def _public(token: AccessInfo, *service_types: str) -> list[str]:
    return [url for interface, _, url in _endpoints(token, *service_types) if interface == "public"]


def link_findings(settings: Settings, token: AccessInfo, glance: str) -> Iterator[Finding]:
    """Compare the links in answers with the public addresses in the catalog.

    Args:
        settings: decide how links begin.
        token: has the catalog.
        glance: the address of Glance that the service uses.
    """
    yield from _own_links(settings, _public(token, "compute", "compute_legacy"))
    yield from _alternate_links(settings, _public(token, "image"), glance)


def _own_links(settings: Settings, public: list[str]) -> Iterator[Finding]:
    secure = [url for url in public if url.startswith("https://")]
    prefix = settings.compute_link_prefix
    if secure and prefix and prefix.startswith("http://"):
        yield warning(
            f"Links begin with {prefix}, but clients use {secure[0]}.",
            "Use https:// in SHIM_COMPUTE_LINK_PREFIX.",
        )
    if secure and not prefix and not settings.trusted_proxies:
        yield warning(
            f"Links begin with http://, but clients use {secure[0]}: the service does not know of "
            "the TLS in front of it.",
            "Set SHIM_TRUSTED_PROXIES to the number of proxies that set X-Forwarded-Proto, or "
            "SHIM_COMPUTE_LINK_PREFIX to the public address.",
        )


def _alternate_links(settings: Settings, urls: list[str], glance: str) -> Iterator[Finding]:
    public = [without_version(url) for url in urls]
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
            f"`alternate` links begin with {shown}, but Glance's public address is {public[0]}.",
            "Use https:// in SHIM_GLANCE_LINK_PREFIX.",
        )
