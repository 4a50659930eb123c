"""Load and check `intended.yaml`, the file of intended differences."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).parent / "intended.yaml"


class IntendedError(Exception):
    """The file is inconsistent."""


class Key(NamedTuple):
    """A field in the answer to a request."""

    request: str
    field: str


class Intended(NamedTuple):
    """An intended difference: Nova's value, this service's value, and the reason's id."""

    nova: Any
    here: Any
    reason: str


class Reason(NamedTuple):
    """Why answers differ: a row of a table in docs/reference/differences.md, and the rule."""

    table: str
    subject: str
    nova: str
    here: str
    why: str
    rule: str
    elsewhere: str | None = None


class Everywhere(NamedTuple):
    """A difference that is intended in the answer to any request."""

    field: str
    nova: Any
    here: Any
    reason: str


class File(NamedTuple):
    """The contents of `intended.yaml`."""

    reasons: dict[str, Reason]
    everywhere: list[Everywhere]
    differences: dict[Key, Intended]


def load_intended(file: Path = FILE) -> File:
    """Read the file.

    Raises:
        IntendedError: an entry is repeated or names an unknown reason, or a reason without
            entries does not say where else it is shown.
    """
    data = yaml.safe_load(file.read_text())
    reasons = {
        name: Reason(table, **fields)
        for table, group in data["reasons"].items()
        for name, fields in group.items()
    }
    everywhere = [Everywhere(**entry) for entry in data["everywhere"]]
    differences: dict[Key, Intended] = {}
    for entry in data["differences"] or ():
        key = Key(entry.pop("request"), entry.pop("field"))
        if key in differences:
            raise IntendedError(f"duplicate entry: {key}")
        differences[key] = Intended(**entry)
    used = {entry.reason for entry in everywhere}
    used |= {difference.reason for difference in differences.values()}
    if unknown := used - reasons.keys():
        raise IntendedError(f"unknown reasons: {sorted(unknown)}")
    for name, reason in reasons.items():
        if (name in used) == (reason.elsewhere is not None):
            raise IntendedError(f"{name}: needs either entries or `elsewhere`, not both")
    return File(reasons, everywhere, differences)
