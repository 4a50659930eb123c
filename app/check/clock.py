"""Compare clocks: tokens expire by them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from nova_image_shim.check.findings import Finding, Level, ok, warning

_SKEW_WARNED, _SKEW_FATAL = 10, 120  # seconds


def clock_findings(answer: requests.Response, what: str) -> Iterator[Finding]:
    """Compare an answer's `Date` with this machine's clock."""
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError, OverflowError):
        return
    if theirs.tzinfo is None:  # `-0000`, an unknown zone
        theirs = theirs.replace(tzinfo=UTC)
    skew = round((theirs - datetime.now(UTC)).total_seconds())
    if abs(skew) <= _SKEW_WARNED:
        yield ok(f"{what}'s clock agrees with this machine's.")
        return
    direction = "ahead of" if skew > 0 else "behind"
    text = f"{what}'s clock is {abs(skew)} seconds {direction} this machine's."
    fix = "Run NTP on both: otherwise tokens expire too early or are accepted too long."
    yield Finding(Level.ERROR, text, fix) if abs(skew) > _SKEW_FATAL else warning(text, fix)
