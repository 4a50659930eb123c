"""What a check finds: a level, a sentence about the state, a sentence about the fix."""

from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """How serious a finding is; the highest level is the exit status."""

    OK = 0
    WARNING = 1
    ERROR = 2


class Finding(NamedTuple):
    """One result of the check."""

    level: Level
    text: str
    fix: str = ""

    def __str__(self) -> str:
        """Return one line, whatever a server has said in it: `warning TEXT fix: FIX`."""
        line = f"{self.level.name.lower():<7} {self.text}{self.fix and f' fix: {self.fix}'}"
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


class CheckFailed(Exception):
    """An error after which the check cannot continue: its text and its fix."""


def ok(text: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(Level.OK, text)


def warning(text: str, fix: str) -> Finding:
    """Return a problem that does not stop the service, or not for every client."""
    return Finding(Level.WARNING, text, fix)
