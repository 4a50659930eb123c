"""Announce and rehearse the end of the API: `Deprecation`, `Sunset`, `Link`, and the brownout."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from flask import request

from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings
from nova_image_shim.settings.brownout import Brownout


class BrownedOut(Exception):
    """A request is refused as a rehearsal; each API renders it in its own form.

    Args:
        status: 404 or 410.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


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


def brownout_hook(
    brownout: Brownout,
    applies_to: Callable[[str], bool],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    draw: Callable[[], float] = random.random,
) -> Callable[[], None]:
    """Return the step that refuses requests during a brownout.

    Args:
        brownout: which requests.
        applies_to: whether a path belongs to the API.
        now: returns the time.
        draw: returns a random number, at least 0 and below 1.
    """

    def refuse() -> None:
        trace = CURRENT.get()
        if applies_to(request.path) and brownout.refuses(trace.client.family, now(), draw()):
            trace.brownout = True
            raise BrownedOut(brownout.status)

    return refuse
