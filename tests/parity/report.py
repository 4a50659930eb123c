"""Judge the differences as intended or unexpected, and count them."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nova_image_shim.compare.differences import Differences
from nova_image_shim.compare.intended import FILE, Pair, load_intended

from .exchange import Request, load_requests

# The reasons, and the differences in the answers to the requests of this folder.
INTENDED_FILES = FILE, Path(__file__).with_name("intended.yaml")


class Key(NamedTuple):
    """A field in the answer to a request."""

    request: str
    field: str


class Intended(NamedTuple):
    """An intended difference: the other service's value, this one's, and the reason's id."""

    theirs: Any
    ours: Any
    reason: str


class Comparison(NamedTuple):
    """A request, the differences between its two answers, and the status of Nova's."""

    request: Request
    differences: Differences
    status: int


def run(
    description: str | None,
    folder: Path,
    files: tuple[Path, Path],
    compare: Callable[[list[Request]], Iterable[Comparison]],
    theirs: str = "nova",
) -> int:
    """Compare all or selected requests, print the report, and return the exit status.

    Args:
        description: of the command.
        folder: that of the requests.
        files: that of the reasons, and that of the intended differences.
        compare: starts the services, and compares.
        theirs: the name of the other service's values.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("ids", nargs="*", help="only requests whose id starts with this")
    parser.add_argument("--dump", type=Path, help="write all differences to this YAML file")
    given = parser.parse_args()
    chosen = tuple(given.ids) or ("",)
    requests = [r for r in load_requests(folder) if r.id.startswith(chosen)]
    everywhere = load_intended(files[0], theirs).everywhere
    intended = load_differences(files[1], theirs)
    start = time.monotonic()
    comparisons, unused = set_aside(list(compare(requests)), everywhere)
    seconds = time.monotonic() - start
    wrong = [*judge(comparisons, intended), *([] if given.ids else unused)]
    if given.dump:
        given.dump.write_text(dump(comparisons, theirs))
    print("\n".join([*wrong, f"\nin {seconds:.0f} s:", report(comparisons, intended)]))
    return 1 if wrong else 0


def load_differences(file: Path, theirs: str = "nova") -> dict[Key, Intended]:
    """Return the intended differences in the answers to the requests.

    Raises:
        ValueError: two entries are for the same field.
    """
    found: dict[Key, Intended] = {}
    for each in yaml.safe_load(file.read_text())["differences"]:
        key = Key(each["request"], each["field"])
        if key in found:
            raise ValueError(f"duplicate entry: {key}")
        found[key] = Intended(each[theirs], each["here"], each["reason"])
    return found


def assert_reasons(files: tuple[Path, Path], theirs: str = "nova") -> None:
    """Assert that each reason is a whole row, and has either entries or `elsewhere`."""
    reasons_file, differences_file = files
    data = yaml.safe_load(reasons_file.read_text()) | yaml.safe_load(differences_file.read_text())
    reasons = load_intended(reasons_file, theirs).reasons
    used = {each["reason"] for each in [*data["everywhere"], *data["differences"]]}
    assert used == {name for name, reason in reasons.items() if "elsewhere" not in reason}
    assert reasons.keys() >= {each["reason"] for each in data.get("rules", ())}
    keys = {"table", "subject", theirs, "here", "why", "rule"}
    assert [] == [name for name, found in reasons.items() if keys ^ found.keys() - {"elsewhere"}]


def set_aside(
    comparisons: list[Comparison], everywhere: list[tuple[str, Pair]]
) -> tuple[list[Comparison], list[str]]:
    """Take out the differences that are intended everywhere.

    Returns the comparisons with what is left, and a line for each that occurred nowhere.
    """
    found = [item for each in comparisons for item in each.differences.items()]
    left = [
        each._replace(differences=dict(i for i in each.differences.items() if i not in everywhere))
        for each in comparisons
    ]
    return left, [f"intended everywhere, found nowhere: {e}" for e in everywhere if e not in found]


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
    wrong = sum(bool(judge([each], intended)) for each in comparisons)
    same = sum(not (each.differences or judge([each], intended)) for each in comparisons)
    statuses = Counter(f"{comparison.status // 100}xx" for comparison in comparisons)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(statuses.items()))
    share = 100 * same / len(comparisons) if comparisons else 0
    return (
        f"their answers: {counts}\n"
        f"{len(comparisons)} requests: same {same} ({share:.0f} %), "
        f"intended {len(comparisons) - same - wrong}, unexpected {wrong}"
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
