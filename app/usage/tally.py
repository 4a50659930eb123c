"""Calls added up by client, version, project and user, and by hour, in bounded memory."""

import sys
from collections import Counter
from dataclasses import dataclass, field

from nova_image_shim.usage.records import AccessRecord

FIELDS = ("client", "version", "project", "user")
THE_REST = "(the rest)"
_MOST_GROUPS = 100_000
_MOST_HOURS = 200_000


@dataclass(slots=True)
class Group:
    """The sums of one group; times as in `AccessRecord`."""

    calls: int = 0
    errors: int = 0
    images: int = 0
    first_seen: str = "9999"
    last_seen: str = ""
    by_call: Counter[str] = field(default_factory=Counter)

    def add(self, record: AccessRecord) -> None:
        """Add a call."""
        self.calls += 1
        self.errors += record.status >= 400
        self.images += record.images
        self.first_seen = min(self.first_seen, record.time)
        self.last_seen = max(self.last_seen, record.time)
        self.by_call[sys.intern(record.call)] += 1  # few different texts, in many groups


class Tally:
    """The sums by some of `FIELDS`, and by hour.

    Args:
        by: the fields to group by.
        most_groups: the most groups to keep; further ones are added up as `(the rest)`.
    """

    def __init__(self, by: tuple[str, ...] = FIELDS, most_groups: int = _MOST_GROUPS) -> None:
        self.by = by
        self.groups: dict[tuple[str, ...], Group] = {}
        self.hours: Counter[tuple[str, str]] = Counter()
        self.incomplete: list[str] = []  # what the sums lack: logs that were not read completely
        self._most_groups = most_groups

    def add(self, record: AccessRecord) -> None:
        """Add a call."""
        key = tuple([getattr(record, name) for name in self.by])
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= self._most_groups:
                key = (THE_REST,) * len(self.by)
            group = self.groups.setdefault(key, Group())
        group.add(record)
        hour = (record.time[:13], record.client)
        if hour in self.hours or len(self.hours) < _MOST_HOURS:
            self.hours[hour] += 1

    def ranked(self) -> list[tuple[tuple[str, ...], Group]]:
        """Return the groups, most calls first."""
        return sorted(self.groups.items(), key=lambda item: (-item[1].calls, item[0]))
