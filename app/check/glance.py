"""Glance as the service uses it: its endpoint, a list of one image, and the links to it."""

from collections.abc import Iterator
from functools import partial

import requests
from keystoneauth1.access import AccessInfo
from keystoneauth1.exceptions import ClientException

from nova_image_shim.adapters.address import without_version
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.check.findings import CheckFailed, Finding, ok, warning
from nova_image_shim.check.http import answer_from, clock_findings, endpoints_in, missing_endpoint
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


def list_one_image(keystone: KeystoneSession, glance: str, setting: str) -> Iterator[Finding]:
    """List one image as the service user; the setting is the one with Glance's address.

    Raises:
        CheckFailed: the answer is not a list.
    """
    base = without_version(glance)
    url = f"{base}/v2/images?limit=1"
    call = partial(keystone.session.get, url, auth=keystone.plugin, raise_exc=False)
    answer = answer_from("Glance", url, setting, call)
    status = answer.status_code
    if status in {401, 403}:
        raise CheckFailed(
            f"Glance at {base} rejects the service user's token: it returns {status}.",
            "Check [keystone_authtoken] in glance-api.conf: it must name the same Keystone.",
        )
    if not _is_list(answer):
        raise CheckFailed(
            f"There is no Glance v2 at {base}: it returns {status}.",
            f"Correct {setting}: it must be the image service's address without /v2.",
        )
    yield ok(f"Glance at {base} lists images.")
    yield from clock_findings(answer, "Glance")


def _is_list(answer: requests.Response) -> bool:
    try:
        return answer.status_code == 200 and isinstance(answer.json()["images"], list)
    except (ValueError, KeyError, TypeError):
        return False


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


def _public(token: AccessInfo, *service_types: str) -> list[str]:
    endpoints = endpoints_in(token, *service_types)
    return [url for interface, _, url in endpoints if interface == "public"]
