"""Which client calls, by its User-Agent: a bounded set, for the log, the metrics and `usage`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

OTHER, NONE = "other", "none"
_LONGEST_AGENT = 256

# The first that is found names the family: a library that sits on another stands before it.
_PRODUCTS = {
    "novaclient": "novaclient",
    "openstackclient": "openstackclient|osc-lib",
    "libcloud": "libcloud",
    "fog": "fog(?:-core|-openstack|-rackspace)?",
    "pkgcloud": "pkgcloud",
    "gophercloud": "gophercloud",
    "goose": "goose",
    "jclouds": "jclouds",
    "openstack4j": "openstack4j",
    "php-opencloud": "php-opencloud|opencloud",
    "pyrax": "pyrax",
    "shade": "shade",
    "openstacksdk": "openstacksdk|python-openstacksdk",
    "keystoneauth": "keystoneauth1?|keystoneclient",
    "curl": "curl|libcurl",
    "wget": "wget",
    "python": "python-requests|python-urllib3?|python-httplib2|aiohttp|httpx",
    "go": "go-http-client",
    "ruby": "excon|ruby|faraday",
    "java": "java|okhttp|apache-httpclient",
    "browser": "mozilla",
}
_RULES = [
    # `product/1.2`, `product (1.2)`, `product v1.2`, or the product alone
    (
        family,
        re.compile(rf"(?<![a-z0-9])(?:{names})(?![a-z0-9])(?:[/ (]*v?(\d[\w.+-]*))?", re.I | re.A),
    )
    for family, names in _PRODUCTS.items()
]
FAMILIES = (*_PRODUCTS, OTHER, NONE)


class Client(NamedTuple):
    """A client as it names itself; `version` is empty where it tells none."""

    family: str
    version: str

    def __str__(self) -> str:
        return f"{self.family}/{self.version}" if self.version else self.family


@lru_cache(maxsize=1024)
def client_of(user_agent: str) -> Client:
    """Return the family and version that a User-Agent header names.

    `python-novaclient` is `novaclient`, `libcloud/3.8.0 (OpenStack)` is `libcloud/3.8.0`; one of
    no known family is `other`, an empty one `none`.
    """
    if not user_agent.strip():
        return Client(NONE, "")
    for family, product in _RULES:
        if match := product.search(user_agent[:_LONGEST_AGENT]):
            return Client(family, (match[1] or "")[:32])
    return Client(OTHER, "")
