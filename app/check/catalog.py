"""The catalog in a token: which addresses it has, however odd it is."""

from typing import Any

from keystoneauth1.access import AccessInfo
from keystoneauth1.exceptions import ClientException

from nova_image_shim.check.failures import public_address, without_users
from nova_image_shim.check.findings import CheckFailed
from nova_image_shim.settings import Keystone


def endpoint_of(token: AccessInfo, user: Keystone, service_type: str, what: str) -> str:
    """Return the address that the service uses.

    Raises:
        CheckFailed: the catalog has none; the text has those that it has.
    """
    where = {"interface": user.interface, "region_name": user.region_name}
    try:
        return str(token.service_catalog.url_for(service_type=service_type, **where))
    except ClientException as error:
        raise _missing(user, token, service_type, what) from error
    except Exception as error:  # a catalog of another shape raises anything
        found = ", ".join(repr(url) for _, _, url in endpoints(token, service_type)) or "none"
        raise CheckFailed(
            f"The catalog in Keystone's token cannot be read: {type(error).__name__}: "
            f"{without_users(str(error))}; "
            f"its addresses of {what}: {found}."
        ) from error


def _missing(user: Keystone, token: AccessInfo, service_type: str, what: str) -> CheckFailed:
    where = f" in the region {user.region_name}" if user.region_name else ""
    found = endpoints(token, service_type)
    there = ", ".join(sorted({f"{interface} in {region}" for interface, region, _ in found}))
    choose = "Set OS_INTERFACE and OS_REGION_NAME to one of them, or create the endpoint"
    return CheckFailed(
        f"The catalog has no {user.interface} endpoint of {what}{where}: it has {there or 'none'}.",
        f"{choose if there else 'Create the endpoint'} (openstack endpoint create).",
    )


def endpoints(token: AccessInfo, *service_types: str) -> list[tuple[str, str, str]]:
    """Return interface, region and address of each endpoint, of some services or of all."""
    services = [
        service
        for service in _dicts(token.service_catalog.catalog)
        if not service_types or service.get("type") in service_types
    ]
    return [
        (
            str(endpoint.get("interface")).removesuffix("URL"),
            str(endpoint.get("region")),
            public_address(str(endpoint["url"])),
        )
        for service in services
        for endpoint in _dicts(service.get("endpoints"))
        if endpoint.get("url")
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
