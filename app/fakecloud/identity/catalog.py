"""The catalog: where the embedded cloud's services are, as the request's own host names them."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from nova_image_shim.fakecloud.identity.identity import API_KEY, Token
from nova_image_shim.web.current import compute_base, settings

REGION = "RegionOne"

# Clients made for Rackspace look for compute by this name, and know these regions only.
_RACKSPACE_NAMES = {"nova": "cloudServersOpenStack", "glance": "cloudImages"}
_RACKSPACE_REGIONS = ("DFW", "ORD", "IAD", "LON", "SYD", "HKG")


class Service(NamedTuple):
    """A service of the catalog; `url` is the same for each region and interface."""

    type: str
    name: str
    url: str
    regions: tuple[str, ...] = (REGION,)

    def id_of(self, *parts: str) -> str:
        """Return an id that is the same in every answer, as a catalog's ids are."""
        return stable_id(self.type, self.name, *parts)


def services(token: Token, identity_version: str) -> list[Service]:
    """Return the catalog of a token, nothing for one without a project.

    `computev21` is how clouds of 2015 named v2.1 beside v2: a client that knows no better takes
    `compute`. It is last since some clients match the beginning of a type.

    Args:
        token: whose project stands in the compute addresses, and whose login decides the dialect.
        identity_version: `v3` or `v2.0`, the last part of the identity's address.
    """
    if token.project is None:
        return []
    base, mounts = compute_base(), settings().mounts
    first = next(mount for mount in ("v2", "v1.1", "v2.1") if mount in mounts)
    found = [
        Service("compute", "nova", f"{base}/{first}/{token.project.id}"),
        Service("identity", "keystone", f"{base}/identity/{identity_version}"),
        Service("image", "glance", f"{base}/image"),
    ]
    if API_KEY in token.methods:
        return [_for_rackspace(service) for service in found]
    if "v2.1" in mounts:
        found.append(Service("computev21", "novav21", f"{base}/v2.1/{token.project.id}"))
    return found


def stable_id(*parts: str) -> str:
    """Return 32 hexadecimal digits that depend on nothing but these names."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)).hex


def _for_rackspace(service: Service) -> Service:
    return service._replace(
        name=_RACKSPACE_NAMES.get(service.name, service.name),
        regions=(REGION, *_RACKSPACE_REGIONS),
    )
