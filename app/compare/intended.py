"""Load and check the intended differences between another service's answers and this one's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).with_name("intended.yaml")


class IntendedError(Exception):
    """The files are inconsistent."""


class Key(NamedTuple):
    """A field in the answer to a request."""

    request: str
    field: str


class Intended(NamedTuple):
    """An intended difference: the other service's value, this one's, and the reason's id."""

    theirs: Any
    ours: Any
    reason: str


class Reason(NamedTuple):
    """Why answers differ: a row of a table of the documentation, and the rule."""

    table: str
    subject: str
    theirs: str
    ours: str
    why: str
    rule: str
    elsewhere: str | None = None


class Everywhere(NamedTuple):
    """A difference that is intended in the answer to any request."""

    field: str
    theirs: Any
    ours: Any
    reason: str


class File(NamedTuple):
    """The contents of the files."""

    reasons: dict[str, Reason]
    everywhere: list[Everywhere]
    differences: dict[Key, Intended]


def load_intended(*files: Path, theirs: str = "nova") -> File:
    """Read files that hold `reasons`, `everywhere` and `differences` between them.

    Args:
        files: YAML, as the heading of `intended.yaml` describes it.
        theirs: the name of the other service's values; those of this one are `here`.

    Raises:
        IntendedError: an entry is repeated or names an unknown reason, or a reason without
            entries does not say where else it is shown.
    """
    data: dict[str, Any] = {}
    for file in files:
        data |= yaml.safe_load(file.read_text(encoding="utf-8"))
    names = {theirs: "theirs", "here": "ours"}
    reasons = {
        name: Reason(table=table, **_renamed(fields, names))
        for table, group in data["reasons"].items()
        for name, fields in group.items()
    }
    everywhere = [Everywhere(**_renamed(entry, names)) for entry in data["everywhere"]]
    differences: dict[Key, Intended] = {}
    for entry in data["differences"] or ():
        key = Key(entry.pop("request"), entry.pop("field"))
        if key in differences:
            raise IntendedError(f"duplicate entry: {key}")
        differences[key] = Intended(**_renamed(entry, names))
    found = File(reasons, everywhere, differences)
    _require_reasons(found)
    return found


def _renamed(entry: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in entry.items()}


def _require_reasons(file: File) -> None:
    used = {entry.reason for entry in file.everywhere}
    used |= {difference.reason for difference in file.differences.values()}
    if unknown := used - file.reasons.keys():
        raise IntendedError(f"unknown reasons: {sorted(unknown)}")
    for name, reason in file.reasons.items():
        if (name in used) == (reason.elsewhere is not None):
            raise IntendedError(f"{name}: needs either entries or `elsewhere`, not both")
