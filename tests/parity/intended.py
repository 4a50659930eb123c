"""The one file of intended differences, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).parent / "intended.yaml"


class IntendedError(Exception):
    """The file says what cannot be meant."""


class Key(NamedTuple):
    """One field of the answer to one request."""

    request: str
    field: str


class Intended(NamedTuple):
    """One intended difference: what Nova answers, what this service does, and the reason's id."""

    nova: Any
    here: Any
    reason: str


class Reason(NamedTuple):
    """Why things differ; the first four are a row of README's table."""

    subject: str
    nova: str
    here: str
    why: str
    rule: str
    elsewhere: str | None = None


class File(NamedTuple):
    """All of `intended.yaml`."""

    reasons: dict[str, Reason]
    differences: dict[Key, Intended]


def load_intended() -> File:
    """Read the file.

    Raises:
        IntendedError: an entry names no reason that there is, or comes twice, or a reason that no
            entry names does not say where it shows instead.
    """
    data = yaml.safe_load(FILE.read_text())
    reasons = {name: Reason(**fields) for name, fields in data["reasons"].items()}
    differences: dict[Key, Intended] = {}
    for entry in data["differences"] or ():
        key = Key(entry.pop("request"), entry.pop("field"))
        if key in differences:
            raise IntendedError(f"twice: {key}")
        differences[key] = Intended(**entry)
        if differences[key].reason not in reasons:
            raise IntendedError(f"{key}: there is no reason {differences[key].reason}")
    used = {difference.reason for difference in differences.values()}
    for name, reason in reasons.items():
        if (name in used) == (reason.elsewhere is not None):
            raise IntendedError(f"{name}: named by an entry, or `elsewhere`: one of both")
    return File(reasons, differences)
