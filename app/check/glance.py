"""Glance, as the service uses it: one image of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.check.catalog import endpoint_of
from nova_image_shim.check.findings import Fault, Finding, fine
from nova_image_shim.check.wire import clock_findings, get

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from keystoneauth1.plugin import BaseAuthPlugin
    from keystoneauth1.session import Session

    from nova_image_shim.settings import Settings


def find_glance(session: Session, settings: Settings, plugin: BaseAuthPlugin) -> str:
    """Return Glance's address, as it is set or as the catalog has it.

    Raises:
        Fault: neither has one.
    """
    return settings.glance_endpoint or endpoint_of(session, settings, plugin, "image", "Glance")


def list_one_image(
    session: Session, settings: Settings, plugin: BaseAuthPlugin, glance: str
) -> Iterator[Finding]:
    """Ask Glance for one image.

    Raises:
        Fault: it does not answer with one, or with none.
    """
    setting = "SHIM_GLANCE_ENDPOINT" if settings.glance_endpoint else "Glance's endpoint"
    base = without_version(glance)
    url = f"{base}/v2/images?limit=1"
    answer = get(session, url, "Glance", setting, auth=plugin)
    if answer.status_code in {401, 403}:
        raise Fault(
            f"Glance at {base} does not take the service user's token: it answers "
            f"{answer.status_code}.",
            "Look at [keystone_authtoken] in glance-api.conf: it must name the same Keystone.",
        )
    if answer.status_code >= 500:
        raise Fault(
            f"Glance at {base} fails: it answers {answer.status_code}.",
            "Look at Glance's own log, and at the proxy's in front of it.",
        )
    if not _is_list(answer):
        raise Fault(
            f"There is no Glance v2 at {base}: it answers {answer.status_code}.",
            f"Mend {setting}: it is the image service's address without /v2.",
        )
    yield fine(f"Glance at {base} lists images.")
    yield from clock_findings(answer, "Glance")


def _is_list(answer: requests.Response) -> bool:
    try:
        return answer.status_code == 200 and isinstance(answer.json()["images"], list)
    except (ValueError, KeyError, TypeError):
        return False
