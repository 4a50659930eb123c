"""The end of the API, told and rehearsed: `Deprecation`, `Sunset` and `Link`, and the brownout."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from flask import request

from nova_image_shim.api.errors import Fault
from nova_image_shim.api.paths import is_below_mount
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.web.current import mount

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response

    from nova_image_shim.settings import Settings
    from nova_image_shim.settings.brownout import Brownout

_GONE = "The image calls of the compute API are being switched off. Use the image service."


def announcements(settings: Settings) -> list[tuple[str, str]]:
    """Return the headers that tell of the end, none where nothing is set.

    Sources: RFC 9745 for `Deprecation`, a time as `@` and seconds since 1970; RFC 8594 for
    `Sunset`, an HTTP date.
    """
    headers = []
    if since := settings.deprecation:
        headers.append(("Deprecation", f"@{int(since.timestamp())}"))
    if sunset := settings.sunset:
        headers.append(("Sunset", format_datetime(sunset, usegmt=True)))
    if link := settings.deprecation_link:
        relations = [name for name, told in (("deprecation", since), ("sunset", sunset)) if told]
        headers += [("Link", f'<{link}>; rel="{" ".join(relations)}"; type="text/html"')]
    return headers


def register_announcements(app: Flask, settings: Settings) -> None:
    """Have every answer below a mount, and the mount's own, tell of the end."""
    headers = announcements(settings)

    def announce(response: Response) -> Response:
        if mount() in settings.mounts:
            for name, value in headers:
                response.headers.add(name, value)
        return response

    if headers:
        app.after_request(announce)


def refuser(
    brownout: Brownout,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    draw: Callable[[], float] = random.random,
) -> Callable[[], None]:
    """Return the step that refuses requests for a rehearsal.

    Args:
        brownout: which ones.
        now: tells the time.
        draw: gives a number from 0 to 1, 1 left out.
    """

    def refuse() -> None:
        trace = CURRENT.get()
        if is_below_mount(request.path) and brownout.refuses(trace.client.family, now(), draw()):
            trace.brownout = True
            raise Fault(brownout.status, _GONE if brownout.status == 410 else None)

    return refuse
