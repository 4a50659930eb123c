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


class Key(NamedTuple):
    """A field in the answer to a request."""

    request: str
    field: str


class Intended(NamedTuple):
    """An intended difference: the other service's value, this one's, and the reason's id."""

    theirs: Any
    ours: Any
    reason: str


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
    """The contents of the files.

    Args:
        reasons: by id, with the title of its table as `table`.
        everywhere: fields that may differ in any answer, and their values.
        differences: those in the answers to known requests.
        rules: those in the answers to any other request.
    """

    reasons: dict[str, dict[str, str]]
    everywhere: list[tuple[str, Pair]]
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
        headers = [field for field, _ in self.everywhere]
        left = dict(item for item in found.items() if item not in self.everywhere)

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
        ValueError: an entry is repeated or names an unknown reason, or a reason without
            entries does not say where else it is shown.
    """
    data: dict[str, Any] = {}
    for file in files:
        data |= yaml.safe_load(file.read_text(encoding="utf-8"))
    reasons = {
        name: fields | {"table": table}
        for table, group in data["reasons"].items()
        for name, fields in group.items()
    }
    everywhere = [(each["field"], (each[theirs], each["here"])) for each in data["everywhere"]]
    differences: dict[Key, Intended] = {}
    for each in data.get("differences", ()):
        key = Key(each["request"], each["field"])
        if key in differences:
            raise ValueError(f"duplicate entry: {key}")
        differences[key] = Intended(each[theirs], each["here"], each["reason"])
    _require_reasons(data, reasons)
    return File(reasons, everywhere, differences, [Rule(**each) for each in data.get("rules", ())])


def _require_reasons(data: Mapping[str, Any], reasons: Mapping[str, Mapping[str, str]]) -> None:
    lists = [data.get(name, ()) for name in ("everywhere", "differences", "rules")]
    everywhere, differences, rules = [{each["reason"] for each in entries} for entries in lists]
    used = everywhere | differences
    if unknown := (used | rules) - reasons.keys():
        raise ValueError(f"unknown reasons: {sorted(unknown)}")
    for name, reason in reasons.items() if differences else ():
        if (name in used) == ("elsewhere" in reason):
            raise ValueError(f"{name}: needs either entries or `elsewhere`, not both")


def _line(values: Pair) -> str:
    """Return both values as one text; `.` matches no line break, which keeps the search linear."""
    texts = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values)
    return "\n".join(text[:_LONGEST].replace("\n", " ") for text in texts)
