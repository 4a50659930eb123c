"""What a check finds: how grave it is, one sentence on what is so, one on the mend."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """How grave a finding is; the gravest one is the exit status."""

    FINE = 0
    WARNING = 1
    ERROR = 2


class Finding(NamedTuple):
    """One thing found."""

    level: Level
    text: str
    mend: str = ""

    def __str__(self) -> str:
        sentences = f"{self.text} {self.mend}".strip()
        return f"{self.level.name.lower():<7} {sentences}"


class Fault(Exception):
    """Something is wrong that keeps the check from going on.

    Args:
        text: what is wrong.
        mend: what to do.
    """

    def __init__(self, text: str, mend: str) -> None:
        super().__init__(text)
        self.finding = Finding(Level.ERROR, text, mend)


def fine(text: str) -> Finding:
    """Return what is as it should be."""
    return Finding(Level.FINE, text)


def warning(text: str, mend: str) -> Finding:
    """Return what works but not well, or not for every client."""
    return Finding(Level.WARNING, text, mend)
