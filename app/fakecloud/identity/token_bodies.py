"""Token and version bodies of Identity v2.0 and v3: plain values in, JSON objects out.

Source: keystone at 30.0.0, keystone/common/render_token.py and keystone/api/discovery.py, for v3;
keystone at 8.0.0, keystone/token/providers/common.py and keystone/version/controllers.py, for v2.0.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple


class Ref(NamedTuple):
    """The id and the name of a user, a project, a domain or a role."""

    id: str
    name: str


class Endpoint(NamedTuple):
    """One address of a service; `interface` is `public`, `internal` or `admin`."""

    id: str
    interface: str
    region: str
    url: str


class Service(NamedTuple):
    """An entry of the catalog."""

    id: str
    type: str
    name: str
    endpoints: Sequence[Endpoint]


class TokenFacts(NamedTuple):
    """What both versions report about a token; `project` is None for one without a project."""

    id: str
    methods: Sequence[str]
    issued_at: datetime
    expires_at: datetime
    audit_ids: Sequence[str]
    user: Ref
    domain: Ref
    project: Ref | None = None
    roles: Sequence[Ref] = ()


def token_v3(token: TokenFacts, catalog: Iterable[Service] | None) -> dict[str, Any]:
    """Return `{"token": {...}}`; a catalog of None is left out."""
    domain = token.domain._asdict()
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {**token.user._asdict(), "domain": domain, "password_expires_at": None},
        "audit_ids": list(token.audit_ids),
        "issued_at": token.issued_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "expires_at": token.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    if token.project:
        body["project"] = {**token.project._asdict(), "domain": domain}
        body["roles"] = [role._asdict() for role in token.roles]
        if catalog is not None:
            body["catalog"] = catalog_v3(catalog)
    return {"token": body}


def catalog_v3(catalog: Iterable[Service]) -> list[dict[str, Any]]:
    """Return the services, each with an endpoint for every interface and region."""
    return [
        {
            **service._asdict(),
            "endpoints": [
                {**endpoint._asdict(), "region_id": endpoint.region}
                for endpoint in service.endpoints
            ],
        }
        for service in catalog
    ]


def token_v2(
    token: TokenFacts, catalog: Iterable[Service], default_region: str | None = None
) -> dict[str, Any]:
    """Return `{"access": {...}}`; `default_region` is what Rackspace adds to the user."""
    roles = token.roles if token.project else ()
    user: dict[str, Any] = {
        **token.user._asdict(),
        "username": token.user.name,
        "roles": [{"name": role.name} for role in roles],
        "roles_links": [],
    }
    if default_region:
        user["RAX-AUTH:defaultRegion"] = default_region
    body: dict[str, Any] = {
        "id": token.id,
        "issued_at": token.issued_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "expires": token.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "audit_ids": list(token.audit_ids),
    }
    access: dict[str, Any] = {
        "token": body,
        "user": user,
        "metadata": {"is_admin": 0, "roles": [role.id for role in roles]},
        "serviceCatalog": [],
    }
    if token.project:
        body["tenant"] = tenant(token.project)
        access["serviceCatalog"] = catalog_v2(catalog, token.project.id)
    return {"access": access}


def tenant(project: Ref) -> dict[str, Any]:
    """Return a project as v2.0 shows it."""
    return {**project._asdict(), "enabled": True, "description": None}


def catalog_v2(catalog: Iterable[Service], tenant_id: str) -> list[dict[str, Any]]:
    """Return the services, each with one endpoint for every region."""
    return [
        {
            "type": service.type,
            "name": service.name,
            "endpoints_links": [],
            "endpoints": _regions(service.endpoints, tenant_id),
        }
        for service in catalog
    ]


def _regions(endpoints: Iterable[Endpoint], tenant_id: str) -> list[dict[str, str]]:
    """Merge the interfaces of a region: the first one gives the id."""
    regions: dict[str, dict[str, str]] = {}
    for endpoint in endpoints:
        first = {"id": endpoint.id, "tenantId": tenant_id, "region": endpoint.region}
        merged = regions.setdefault(endpoint.region, first)
        merged[f"{endpoint.interface}URL"] = endpoint.url
    return list(regions.values())


def version_v3(url: str) -> dict[str, Any]:
    """Return the version document of v3 at this address."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": url}],
        "media-types": _media_types("v3"),
    }


def version_v2(url: str) -> dict[str, Any]:
    """Return the version document of v2.0; `stable`, as some clients skip a deprecated version."""
    guide = "https://developer.openstack.org/api-ref/identity/v2/content"
    return {
        "id": "v2.0",
        "status": "stable",
        "updated": "2014-04-17T00:00:00Z",
        "links": [
            {"rel": "self", "href": url},
            {"rel": "describedby", "type": "text/html", "href": guide},
        ],
        "media-types": _media_types("v2.0"),
    }


def _media_types(version: str) -> list[dict[str, str]]:
    type_ = f"application/vnd.openstack.identity-{version}+json"
    return [{"base": "application/json", "type": type_}]
