"""The catalog in the service user's token: service endpoints and the addresses clients see."""

from collections.abc import Iterator

from keystoneauth1.access import AccessInfo
from keystoneauth1.exceptions import ClientException

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.check.findings import CheckFailed, Finding, warning
from nova_image_shim.settings import Keystone, Settings


def glance_endpoint(user: Keystone, token: AccessInfo) -> str:
    """Return Glance's address in the catalog.

    Raises:
        CheckFailed: the catalog has none.
    """
    try:
        url = token.service_catalog.url_for(
            service_type="image", interface=user.interface, region_name=user.region_name
        )
    except ClientException as error:
        raise missing_endpoint(user, token, "image", "Glance") from error
    return str(url)


def missing_endpoint(user: Keystone, token: AccessInfo, kind: str, what: str) -> CheckFailed:
    """Return the error that the catalog lacks a service, with the endpoints that it has."""
    where = f" in the region {user.region_name}" if user.region_name else ""
    there = {f"{interface} in {region}" for interface, region, _ in _endpoints(token, kind)}
    return CheckFailed(
        f"The catalog has no {user.interface} endpoint of {what}{where}: it has "
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
    """Compare the links in answers with the public addresses in the catalog."""
    public = _public(token, "compute", "compute_legacy")
    if secure := [url for url in public if url.startswith("https://")]:
        yield from _own_links(settings, secure[0])
    public = [without_version(url) for url in _public(token, "image")]
    shown = settings.glance_link_prefix or without_version(glance)
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
