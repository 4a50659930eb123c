"""Tokens, tenants and the service catalog as v2.0 shows them.

Source: keystone at 8.0.0, keystone/token/providers/common.py.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from nova_image_shim.adapters.identity_port import IssuedToken
from nova_image_shim.settings.catalog import CatalogEntry

_URLS = ("publicURL", "internalURL", "adminURL")
RACKSPACE_COMPUTE = "cloudServersOpenStack"  # what clients for Rackspace look for

# Of a service, by type: name, and endpoints by region.
_Services = dict[str, tuple[str, dict[str | None, dict[str, Any]]]]


def access(
    token: IssuedToken, entries: Sequence[CatalogEntry], region: str | None
) -> dict[str, Any]:
    """Return `{"access": {"token", "user", "serviceCatalog", "metadata"}}`.

    Args:
        token: what the identity service issued.
        entries: which endpoints of the catalog to replace.
        region: the default region of a user with an API key; None for the catalog's first.

    Raises:
        KeyError, TypeError, AttributeError: the token's data have another shape.
    """
    data, project = token.data, token.data.get("project")
    roles: Sequence[Mapping[str, str]] = data.get("roles", ())
    catalog = _catalog(token, entries) if project else []
    user: dict[str, Any] = {
        "id": data["user"]["id"],
        "name": data["user"]["name"],
        "username": data["user"]["name"],
        "roles": [{"name": role["name"]} for role in roles],
        "roles_links": [],
    }
    if token.is_rackspace and (own := region or _first_region(catalog)):
        user["RAX-AUTH:defaultRegion"] = own
    body: dict[str, Any] = {
        "id": token.id,
        "issued_at": data["issued_at"].removesuffix("Z"),
        "expires": f"{data['expires_at'][:19]}Z",  # without a fraction
        "audit_ids": list(data["audit_ids"]),
    }
    if project:
        body["tenant"] = tenant(project)
    metadata = {"is_admin": 0, "roles": [role["id"] for role in roles]}
    found = {"token": body, "user": user, "metadata": metadata, "serviceCatalog": catalog}
    return {"access": found}


def tenant(project: Mapping[str, Any]) -> dict[str, Any]:
    """Return a project as v2.0 shows it; v3's empty description is v2.0's null.

    Raises:
        KeyError: the project has no id or no name.
    """
    return {
        "id": project["id"],
        "name": project["name"],
        "enabled": project.get("enabled", True),
        "description": project.get("description") or None,
    }


def _first_region(catalog: Iterable[Mapping[str, Any]]) -> str | None:
    regions = (endpoint["region"] for service in catalog for endpoint in service["endpoints"])
    return next(regions, None)


def _catalog(token: IssuedToken, entries: Iterable[CatalogEntry]) -> list[dict[str, Any]]:
    """Return the services, one for each type, each with one endpoint for every region."""
    project_id = token.data["project"]["id"]
    services = _by_type(token.data.get("catalog", ()))
    for entry in entries:
        _replace(services, entry, project_id)
    if token.is_rackspace and "compute" in services:
        services["compute"] = (RACKSPACE_COMPUTE, services["compute"][1])
    return [
        {
            "type": type_,
            "name": name,
            "endpoints_links": [],
            "endpoints": [
                {"id": urls["id"], "tenantId": project_id, "region": region, **urls}
                for region, urls in endpoints.items()
            ],
        }
        for type_, (name, endpoints) in services.items()
        if endpoints
    ]


def _by_type(catalog: Iterable[Mapping[str, Any]]) -> _Services:
    """Merge what has the same type, since old clients refuse two; the first one counts."""
    services: _Services = {}
    for service in catalog:
        _, endpoints = services.setdefault(service["type"], (service.get("name") or "", {}))
        for endpoint in service["endpoints"]:
            urls = endpoints.setdefault(endpoint["region"], {"id": endpoint["id"]})
            urls.setdefault(f"{endpoint['interface']}URL", endpoint["url"])
    return services


def _replace(services: _Services, entry: CatalogEntry, project_id: str) -> None:
    """Replace a type's endpoints in the entry's region, or in every region; add what is missing."""
    _, own = services.setdefault(entry.type, (entry.type, {}))
    known = list(own) or list(chain.from_iterable(urls for _, urls in services.values()))
    for region in [entry.region] if entry.region else known or [None]:
        id_ = own[region]["id"] if region in own else _new_id(entry.type, region)
        own[region] = {"id": id_, **dict.fromkeys(_URLS, entry.url_for(project_id))}


def _new_id(type_: str, region: str | None) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{type_}/{region}").hex
