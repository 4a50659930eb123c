"""The catalog and the tokens as identity v3 shows them, from which v2.0 is made.

Source: keystone at 30.0.0, keystone/common/render_token.py.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nova_image_shim.adapters.identity_port import API_KEY
from nova_image_shim.fakecloud.identity.identity import (
    APPLICATION_CREDENTIAL,
    DOMAIN,
    SYSTEM,
    Token,
)
from nova_image_shim.fakecloud.seed import stable_id
from nova_image_shim.identity_v2.bodies import RACKSPACE_COMPUTE
from nova_image_shim.web.current import compute_base, settings

REGION = "RegionOne"
_INTERFACES = ("public", "internal", "admin")

# Clients made for Rackspace look for these names, and know these regions only.
_RACKSPACE_NAMES = {"nova": RACKSPACE_COMPUTE, "glance": "cloudImages"}
_RACKSPACE_REGIONS = ("DFW", "ORD", "IAD", "LON", "SYD", "HKG")


class Service(NamedTuple):
    """An entry of the catalog: one address for all regions and interfaces."""

    type: str
    name: str
    url: str
    regions: Sequence[str] = (REGION,)


def services(token: Token) -> list[Service]:
    """Return the catalog of a token, empty for one without a scope.

    `computev21` is how clouds of 2015 named v2.1 beside v2: a client that knows no better takes
    `compute`. It comes last because some clients match the beginning of a type.

    Args:
        token: its project is in the compute addresses, which no other scope has, and its login
            decides the dialect.
    """
    if token.scope is None:
        return []
    base, mounts = compute_base(), settings().mounts
    first = next(mount for mount in ("v2", "v1.1", "v2.1") if mount in mounts)
    project_id, regions = (token.project.id, (REGION,)) if token.project else ("", ())
    found = [
        Service("compute", "nova", f"{base}/{first}/{project_id}", regions),
        Service("identity", "keystone", f"{base}/identity/v3"),
        Service("image", "glance", f"{base}/image"),
    ]
    if API_KEY in token.methods:
        return [_for_rackspace(service) for service in found]
    if "v2.1" in mounts:
        found.append(Service("computev21", "novav21", f"{base}/v2.1/{project_id}", regions))
    return found


def _for_rackspace(service: Service) -> Service:
    name = _RACKSPACE_NAMES.get(service.name, service.name)
    return service._replace(name=name, regions=(REGION, *_RACKSPACE_REGIONS))


def token_v3(token: Token, *, with_catalog: bool) -> dict[str, Any]:
    """Return `{"token": {...}}`."""
    domain = DOMAIN._asdict()
    user = {"id": token.user.id, "name": token.user.name, "domain": domain}
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {**user, "password_expires_at": None},
        "audit_ids": list(token.audit_ids),
        "issued_at": token.issued_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "expires_at": token.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    if token.project:
        body["project"] = {"id": token.project.id, "name": token.project.name, "domain": domain}
    elif token.scope == DOMAIN:
        body["domain"] = domain
    elif token.scope == SYSTEM:
        body["system"] = {"all": True}
    if token.scope:
        body["roles"] = [{"id": stable_id("role", name), "name": name} for name in token.roles]
        if with_catalog:
            body["catalog"] = catalog_v3(token)
    if APPLICATION_CREDENTIAL in token.methods:
        own = {"id": token.user.id, "name": token.user.name, "restricted": True}
        body[APPLICATION_CREDENTIAL] = own
    return {"token": body}


def catalog_v3(token: Token) -> list[dict[str, Any]]:
    """Return the services, each with an endpoint for every interface and region."""
    return [
        {
            "id": stable_id(service.type, service.name),
            "type": service.type,
            "name": service.name,
            "endpoints": [
                {
                    "id": stable_id(service.type, service.name, region, interface),
                    "interface": interface,
                    "region": region,
                    "region_id": region,
                    "url": service.url,
                }
                for region in service.regions
                for interface in _INTERFACES
            ],
        }
        for service in services(token)
    ]
