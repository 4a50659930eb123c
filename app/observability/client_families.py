"""Identify clients by their User-Agent, as one of a fixed set of families.

The log, the metrics and `usage` share the set; since it is fixed, it is safe as a metric label.
"""

import re
from functools import lru_cache
from typing import NamedTuple

OTHER, NONE = "other", "none"
_MAX_AGENT_LENGTH = 256
_MAX_VERSION_LENGTH = 32

# The first match wins, so a library is listed before those that it is built on.
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
# Matches `product/1.2`, `product (1.2)`, `product v1.2` and a product without a version.
_RULE = r"(?<![a-z0-9])(?:{})(?![a-z0-9])(?:[/ (]*v?(\d[\w.+-]*))?"
_RULES = {name: re.compile(_RULE.format(p), re.I | re.A) for name, p in _PRODUCTS.items()}
FAMILIES = (*_PRODUCTS, OTHER, NONE)


class Client(NamedTuple):
    """A client's family and version; `version` is empty if the client sends none."""

    family: str
    version: str

    def __str__(self) -> str:
        return f"{self.family}/{self.version}" if self.version else self.family


@lru_cache(maxsize=1024)
def client_of(user_agent: str) -> Client:
    """Return the client that a User-Agent header describes.

    `python-novaclient` is `novaclient` and `libcloud/3.8.0 (OpenStack)` is `libcloud/3.8.0`.
    The family of an unknown client is `other`, and that of an empty header `none`.
    """
    if not user_agent.strip():
        return Client(NONE, "")
    for family, product in _RULES.items():
        if match := product.search(user_agent[:_MAX_AGENT_LENGTH]):
            return Client(family, (match[1] or "")[:_MAX_VERSION_LENGTH])
    return Client(OTHER, "")
