"""Judge the differences as intended or unexpected, and count them."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nova_image_shim.compare.differences import Differences
from nova_image_shim.compare.intended import FILE, Everywhere, Intended, Key

from .exchange import Request

# The reasons, and the differences in the answers to the requests of this folder.
INTENDED_FILES = FILE, Path(__file__).with_name("intended.yaml")


class Comparison(NamedTuple):
    """A request, the differences between its two answers, and the status of Nova's."""

    request: Request
    differences: Differences
    status: int


def set_aside(
    comparisons: list[Comparison], everywhere: list[Everywhere]
) -> tuple[list[Comparison], list[str]]:
    """Take out the differences that are intended everywhere.

    Returns the comparisons with what is left, and a line for each that occurred nowhere.
    """
    expected = [(entry.field, (entry.theirs, entry.ours)) for entry in everywhere]
    found = [item for each in comparisons for item in each.differences.items()]
    left = [
        each._replace(differences=dict(i for i in each.differences.items() if i not in expected))
        for each in comparisons
    ]
    return left, [f"intended everywhere, found nowhere: {e}" for e in expected if e not in found]


def judge(comparisons: list[Comparison], intended: Mapping[Key, Intended]) -> list[str]:
    """Return a line for each difference that is unexpected, has changed, or no longer exists."""
    asked = {comparison.request.id for comparison in comparisons}
    found = {
        Key(comparison.request.id, field): values
        for comparison in comparisons
        for field, values in comparison.differences.items()
    }
    wrong = []
    for key, (theirs, ours) in found.items():
        if key not in intended:
            wrong.append(_line("unexpected", key, theirs, ours))
        elif _text(intended[key][:2]) != _text((theirs, ours)):
            wrong.append(_line("differs from intended", key, theirs, ours))
    wrong += [
        f"intended, but no longer found: {key.request}  {key.field}"
        for key in intended.keys() - found.keys()
        if key.request in asked
    ]
    return wrong


def _line(what: str, key: Key, theirs: Any, ours: Any) -> str:
    return f"{what}: {key.request}  {key.field}\n  theirs  {_text(theirs)}\n    here  {_text(ours)}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def report(comparisons: list[Comparison], intended: Mapping[Key, Intended]) -> str:
    """Return how many requests have the same, an intended and an unexpected result.

    Their statuses are counted too, since equal answers show little if all are refusals.
    """
    same = as_intended = unexpected = 0
    for comparison in comparisons:
        request_id = comparison.request.id
        entries = {key: value for key, value in intended.items() if key.request == request_id}
        if judge([comparison], entries):
            unexpected += 1
        elif comparison.differences:
            as_intended += 1
        else:
            same += 1
    statuses = Counter(f"{comparison.status // 100}xx" for comparison in comparisons)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(statuses.items()))
    share = 100 * same / len(comparisons) if comparisons else 0
    return (
        f"their answers: {counts}\n"
        f"{len(comparisons)} requests: same {same} ({share:.0f} %), "
        f"intended {as_intended}, unexpected {unexpected}"
    )


def dump(comparisons: list[Comparison], theirs: str = "nova") -> str:
    """Return all differences in the format of `intended.yaml`, without reasons.

    Args:
        comparisons: with the differences.
        theirs: the name of the other service's values.
    """
    entries = [
        {"request": c.request.id, "field": field, theirs: value, "here": ours}
        for c in comparisons
        for field, (value, ours) in c.differences.items()
    ]
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120)
