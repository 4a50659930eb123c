"""Identity v2.0, where it is on: whether clients can log in and find the image calls."""

from collections.abc import Iterator

from keystoneauth1.access import AccessInfo

from nova_image_shim.adapters.keystone.login import v3_url
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.check.catalog import endpoints
from nova_image_shim.check.findings import CheckFailed, Finding, ok, warning
from nova_image_shim.settings import Settings

_DOMAIN_FIX = "Set SHIM_IDENTITY_V2_DOMAIN_ID to an id that `openstack domain list` prints."
_COMPUTE_FIX = (
    "Set SHIM_IDENTITY_V2_CATALOG=compute=URL, with the address of the proxy that sends image "
    "calls here and the rest to nova-api."
)


def identity_v2_findings(
    settings: Settings, keystone: KeystoneSession, token: AccessInfo
) -> Iterator[Finding]:
    """Yield the findings; the token is the service user's.

    Raises:
        CheckFailed: the domain does not exist, so that nobody can log in by name.
    """
    from nova_image_shim.identity_v2 import problems  # noqa: PLC0415 - few clouds need it

    _require_domain(settings, keystone)
    for text, fix in problems(settings):
        yield warning(f"{text}.", fix)
    yield from _regions(settings, token)
    yield _compute(settings, token)


def _require_domain(settings: Settings, keystone: KeystoneSession) -> None:
    """Request the domain; a service user that may not see it proves nothing."""
    domain_id = settings.identity_v2_domain_id
    url = f"{v3_url(str(settings.keystone.auth_url))}/domains/{domain_id}"
    answer = keystone.session.get(url, auth=keystone.plugin, raise_exc=False)
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    if answer.status_code == 404 and is_json:
        text = f"Identity v2.0 finds no names: there is no domain with the id {domain_id}."
        raise CheckFailed(text, _DOMAIN_FIX)


def _regions(settings: Settings, token: AccessInfo) -> Iterator[Finding]:
    there = sorted({region for _, region, _ in endpoints(token)})
    for entry in settings.identity_v2_catalog:
        if entry.region and entry.region not in there:
            yield warning(
                f"SHIM_IDENTITY_V2_CATALOG has {entry.type} in the region {entry.region}, which "
                "the catalog does not have.",
                f"Use one of its regions: {', '.join(there)}.",
            )


def _compute(settings: Settings, token: AccessInfo) -> Finding:
    given = [entry.url for entry in settings.identity_v2_catalog if entry.type == "compute"]
    found = given or [url for name, _, url in endpoints(token, "compute") if name == "public"]
    if found:
        return ok(f"Clients that log in with v2.0 find compute at {', '.join(found)}.")
    text = "Clients that log in with v2.0 find no image calls: the catalog has no compute service."
    return warning(text, _COMPUTE_FIX)
