"""Load the intended differences between another service's answers and this one's."""

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
    """The contents of a file.

    Args:
        reasons: by id, with the title of its table as `table`.
        everywhere: fields that may differ in any answer, and their values.
        rules: those in the answers to requests that are not known beforehand.
    """

    reasons: dict[str, dict[str, str]]
    everywhere: list[tuple[str, Pair]]
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


def load_intended(file: Path = FILE, theirs: str = "nova") -> File:
    """Read a file.

    Args:
        file: YAML, as the heading of `intended.yaml` describes it.
        theirs: the name of the other service's values; those of this one are `here`.
    """
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    reasons = {
        name: fields | {"table": table}
        for table, group in data["reasons"].items()
        for name, fields in group.items()
    }
    everywhere = [(each["field"], (each[theirs], each["here"])) for each in data["everywhere"]]
    return File(reasons, everywhere, [Rule(**each) for each in data.get("rules", ())])


def _line(values: Pair) -> str:
    """Return both values as one text; `.` matches no line break, which keeps the search linear."""
    texts = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values)
    return "\n".join(text[:_LONGEST].replace("\n", " ") for text in texts)
