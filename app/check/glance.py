"""Glance as the service uses it: list one image."""

from collections.abc import Iterator

import requests

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.check.findings import CheckFailed, Finding, ok
from nova_image_shim.check.http import answer_from, clock_findings


def list_one_image(keystone: KeystoneSession, glance: str, setting: str) -> Iterator[Finding]:
    """List one image as the service user; the setting is the one with Glance's address.

    Raises:
        CheckFailed: the answer is not a list.
    """
    base = without_version(glance)
    url = f"{base}/v2/images?limit=1"
    answer = answer_from(
        "Glance",
        url,
        setting,
        lambda: keystone.session.get(url, auth=keystone.plugin, raise_exc=False),
    )
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
