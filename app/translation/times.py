"""Times as Nova and Glance read and write them: read by python-iso8601, written in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import iso8601

_is_in_glance_form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII).fullmatch
_check = datetime.fromisoformat
_LOST_PLUS = re.compile(r"([T ]\d\d:?\d\d\S*) (\d\d(:?\d\d)?)", re.ASCII)


def parse_time(text: str) -> datetime:
    """Return the moment that an ISO 8601 text names, in UTC; a text without zone is UTC.

    Raises:
        ValueError: it names none, or none between the years 1 and 9999 in UTC.
    """
    if text.endswith("\n"):  # the library's `$` would let it pass
        raise ValueError(text)
    try:
        return iso8601.parse_date(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def restore_plus(text: str) -> str:
    """Put back the `+` of a zone that form encoding turned into a blank.

    `2011-01-24T17:08:00 09:00` becomes `2011-01-24T17:08:00+09:00`; a blank between date and
    time stays.
    """
    return _LOST_PLUS.sub(r"\1+\2", text)


def to_nova_time(value: object) -> str | None:
    """Return a time as `YYYY-MM-DDTHH:MM:SSZ`, fractions cut, or None if it is no time.

    Nova fails the whole list on one bad time; here the image is shown without it.
    """
    if not isinstance(value, str):
        return None
    try:
        if _is_in_glance_form(value):
            _check(value)
            return value
        return parse_time(value).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    except ValueError:
        return None
