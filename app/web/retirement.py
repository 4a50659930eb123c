"""Announce and rehearse the end of the API: `Deprecation`, `Sunset`, `Link`, and the brownout."""

import random
from datetime import UTC, datetime
from email.utils import format_datetime

from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings
from nova_image_shim.settings.brownout import Brownout
from nova_image_shim.web.errors import HTTPError

_GONE = "The image calls of the compute API are being switched off. Use the image service."


def announcements(settings: Settings) -> list[tuple[str, str]]:
    """Return the headers that announce the end of the API, empty where nothing is set.

    Sources: RFC 9745 for `Deprecation`, a time as `@` and seconds since 1970; RFC 8594 for
    `Sunset`, an HTTP date.
    """
    headers = []
    if since := settings.deprecation:
        headers.append(("Deprecation", f"@{int(since.timestamp())}"))
    if sunset := settings.sunset:
        headers.append(("Sunset", format_datetime(sunset, usegmt=True)))
    if link := settings.deprecation_link:
        relations = [name for name, date in (("deprecation", since), ("sunset", sunset)) if date]
        headers += [("Link", f'<{link}>; rel="{" ".join(relations)}"; type="text/html"')]
    return headers


def refuse_in_brownout(brownout: Brownout, gone: str = _GONE) -> None:
    """Refuse the current request if the brownout covers it, as a rehearsal of the end.

    `gone` is the text of a 410.
    """
    trace = CURRENT.get()
    lot = random.random()  # noqa: S311 - not a secret
    if brownout.refuses(trace.client.family, datetime.now(UTC), lot):
        trace.brownout = True
        raise HTTPError(brownout.status, gone if brownout.status == 410 else None)
