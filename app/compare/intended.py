"""Load and check the intended differences between another service's answers and this one's."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).with_name("intended.yaml")

_ARROW = " -> "
_LONGEST = 20_000  # characters of a value that a rule looks at

Pair = tuple[Any, Any]  # of the other service, and of this one


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


class Rule(NamedTuple):
    """Which differences a reason explains: patterns, as the heading of `intended.yaml` says."""

    reason: str
    field: str
    request: str = ".*"
    statuses: str = ".*\n.*"
    values: str = ".*\n.*"

    def explains(self, request: str, statuses: Pair, field: str, values: Pair) -> bool:
        """Tell whether it explains a difference in the answers to a request, `GET /v2`."""
        texts = field, request, _line(statuses), _line(values)
        _, *patterns = self
        return all(
            re.fullmatch(pattern.replace(_ARROW, "\n"), text)
            for pattern, text in zip(patterns, texts, strict=True)
        )


class File(NamedTuple):
    """The contents of the files; `everywhere` has a field and what may differ in any answer."""

    reasons: dict[str, Reason]
    everywhere: list[tuple[str, Intended]]
    differences: dict[Key, Intended]
    rules: list[Rule]

    def explain(
        self, request: str, statuses: Pair, found: Mapping[str, Pair]
    ) -> dict[str, str | None]:
        """Return the reason of each difference by its field, None for an unexpected one.

        Headers that differ everywhere are left out, unless their difference is another one.

        Args:
            request: method and target.
            statuses: of both answers.
            found: the differences by field.
        """
        usual = [(field, entry[:2]) for field, entry in self.everywhere]
        headers = [field for field, _ in usual]
        left = dict(item for item in found.items() if item not in usual)

        def reason_of(field: str) -> str | None:
            rules = (r for r in self.rules if r.explains(request, statuses, field, left[field]))
            return next((rule.reason for rule in rules), None)

        whole = reason_of("body") if "body" in left else None
        reasons = {field: whole or reason_of(field) for field in left}
        return {
            name: reason for name, reason in reasons.items() if not (reason and name in headers)
        }


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
    everywhere = [
        (entry.pop("field"), Intended(**_renamed(entry, names))) for entry in data["everywhere"]
    ]
    differences: dict[Key, Intended] = {}
    for entry in data.get("differences") or ():
        key = Key(entry.pop("request"), entry.pop("field"))
        if key in differences:
            raise IntendedError(f"duplicate entry: {key}")
        differences[key] = Intended(**_renamed(entry, names))
    rules = [Rule(**entry) for entry in data.get("rules", ())]
    found = File(reasons, everywhere, differences, rules)
    _require_reasons(found)
    return found


def _renamed(entry: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in entry.items()}


def _require_reasons(file: File) -> None:
    used = {entry.reason for _, entry in file.everywhere}
    used |= {difference.reason for difference in file.differences.values()}
    if unknown := used.union(rule.reason for rule in file.rules) - file.reasons.keys():
        raise IntendedError(f"unknown reasons: {sorted(unknown)}")
    for name, reason in file.reasons.items() if file.differences else ():
        if (name in used) == (reason.elsewhere is not None):
            raise IntendedError(f"{name}: needs either entries or `elsewhere`, not both")


def _line(values: Pair) -> str:
    """Return both values as one text; `.` matches no line break, which keeps the search linear."""
    return "\n".join(_text(value)[:_LONGEST].replace("\n", " ") for value in values)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
