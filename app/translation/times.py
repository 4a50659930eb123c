"""Times in the forms that Nova and Glance use: parsed by python-iso8601, written in UTC."""

import re
from datetime import UTC, datetime

import iso8601

_from_iso = datetime.fromisoformat
_LOST_PLUS = re.compile(r"([T ]\d\d:?\d\d\S*) (\d\d(:?\d\d)?)", re.ASCII)


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 time and return it in UTC; a time without a zone is in UTC.

    Raises:
        ValueError: the text is not a time, or not between the years 1 and 9999 in UTC.
    """
    if text.endswith("\n"):  # the library's pattern ends in `$`, which would accept it
        raise ValueError(text)
    try:
        return iso8601.parse_date(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def restore_plus(text: str) -> str:
    """Restore the `+` in `2011-01-24T17:08:00 09:00`, which query strings decode as a space."""
    return _LOST_PLUS.sub(r"\1+\2", text)


def to_nova_time(value: object) -> str | None:
    """Return a time as `YYYY-MM-DDTHH:MM:SSZ` without fractions, or None if it is not a time.

    Nova fails the whole list for one invalid time; here the image has null in its place.
    """
    if not isinstance(value, str):
        return None
    try:
        # Glance's own form, 2011-01-24T17:08:00Z, of a date that exists
        if value[4::3] == "--T::Z" and _from_iso(value):
            return value
        return parse_time(value).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    except ValueError:
        return None
