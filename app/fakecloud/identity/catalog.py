"""The catalog: where the embedded cloud's services are, as the request's own host names them."""

import uuid

from nova_image_shim.fakecloud.identity.identity import API_KEY, DOMAIN, Token
from nova_image_shim.fakecloud.identity.token_bodies import Endpoint, Ref, Service, TokenFacts
from nova_image_shim.web.current import compute_base, settings

REGION = "RegionOne"

# Clients made for Rackspace look for these names, and know these regions only.
_RACKSPACE_NAMES = {"nova": "cloudServersOpenStack", "glance": "cloudImages"}
_RACKSPACE_REGIONS = ("DFW", "ORD", "IAD", "LON", "SYD", "HKG")


def facts(token: Token) -> TokenFacts:
    """Return what a body reports about a token."""
    return TokenFacts(
        id=token.id,
        methods=token.methods,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        audit_ids=token.audit_ids,
        user=Ref(token.user.id, token.user.name),
        domain=DOMAIN,
        project=Ref(token.project.id, token.project.name) if token.project else None,
        roles=[Ref(_stable_id("role", name), name) for name in token.roles],
    )


def services(token: Token, identity_version: str) -> list[Service]:
    """Return the catalog of a token, empty for one without a project.

    `computev21` is how clouds of 2015 named v2.1 beside v2: a client that knows no better takes
    `compute`. It comes last because some clients match the beginning of a type.

    Args:
        token: its project is in the compute addresses, and its login decides the dialect.
        identity_version: `v3` or `v2.0`, the last part of the identity's address.
    """
    if token.project is None:
        return []
    base, mounts = compute_base(), settings().mounts
    first = next(mount for mount in ("v2", "v1.1", "v2.1") if mount in mounts)
    for_rackspace = API_KEY in token.methods
    found = [
        ("compute", "nova", f"{base}/{first}/{token.project.id}"),
        ("identity", "keystone", f"{base}/identity/{identity_version}"),
        ("image", "glance", f"{base}/image"),
    ]
    if "v2.1" in mounts and not for_rackspace:
        found.append(("computev21", "novav21", f"{base}/v2.1/{token.project.id}"))
    return [_service(*entry, for_rackspace=for_rackspace) for entry in found]


def _service(type_: str, name: str, url: str, *, for_rackspace: bool) -> Service:
    """Return a service that has one address for all regions and interfaces."""
    regions = (REGION, *_RACKSPACE_REGIONS) if for_rackspace else (REGION,)
    endpoints = [
        Endpoint(_stable_id(type_, name, region, interface), interface, region, url)
        for region in regions
        for interface in ("public", "internal", "admin")
    ]
    shown_name = _RACKSPACE_NAMES.get(name, name) if for_rackspace else name
    return Service(_stable_id(type_, name), type_, shown_name, endpoints)


def _stable_id(*parts: str) -> str:
    """Return 32 hexadecimal digits that depend on nothing but these names."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)).hex
