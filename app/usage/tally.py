"""Uses, added up: by client, version, project and user, and by hour; the memory has a bound."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nova_image_shim.usage.lines import Use

FIELDS = ("client", "version", "project", "user")
THE_REST = "(the rest)"
_MOST_GROUPS = 100_000
_MOST_HOURS = 200_000


@dataclass(slots=True)
class Group:
    """What callers who have the same name did; times as `Use` has them."""

    calls: int = 0
    errors: int = 0
    images: int = 0
    first_seen: str = "9999"
    last_seen: str = ""
    by_call: Counter[str] = field(default_factory=Counter)

    def add(self, use: Use) -> None:
        """Add a call."""
        self.calls += 1
        self.errors += use.status >= 400
        self.images += use.images
        self.first_seen = min(self.first_seen, use.time)
        self.last_seen = max(self.last_seen, use.time)
        self.by_call[sys.intern(use.call)] += 1  # few names, in many groups


class Tally:
    """The sums, by some of `FIELDS` and by hour.

    Args:
        by: which of the fields make a group of its own.
        most_groups: when there are so many, further ones are added up as `(the rest)`.
    """

    def __init__(self, by: tuple[str, ...] = FIELDS, most_groups: int = _MOST_GROUPS) -> None:
        self.by = by
        self.groups: dict[tuple[str, ...], Group] = {}
        self.hours: Counter[tuple[str, str]] = Counter()
        self._most_groups = most_groups
        self._places = tuple("time client version project user".split().index(name) for name in by)

    def add(self, use: Use) -> None:
        """Add a call."""
        key = tuple([str(use[place]) for place in self._places])
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= self._most_groups:
                key = (THE_REST,) * len(self.by)
            group = self.groups.setdefault(key, Group())
        group.add(use)
        hour = (use.time[:13], use.client)
        if hour in self.hours or len(self.hours) < _MOST_HOURS:
            self.hours[hour] += 1

    def ranked(self) -> list[tuple[tuple[str, ...], Group]]:
        """Return the groups, most calls first."""
        return sorted(self.groups.items(), key=lambda item: (-item[1].calls, item[0]))
