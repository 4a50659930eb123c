"""The report: counts and times by kind, the reasons, and the differences of each request.

It is JSON, or made from it by a template: a table for a terminal, or a page that shows both answers
side by side.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from nova_image_shim.compare.comparison import UNEXPECTED, VERDICTS, Comparison, Result

Document = dict[str, Any]

_LONGEST_LINE = 300


def document(comparison: Comparison, logged: Mapping[str, int]) -> Document:
    """Return everything that a report shows, as JSON values.

    Args:
        comparison: what was compared.
        logged: the number of requests in logs, by what became of them.
    """
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in comparison.results:
        kinds[result.kind].append(result)
    differing = [result for result in comparison.results if result.fields]
    differing.sort(key=lambda result: result.verdict != UNEXPECTED)
    return {
        "addresses": [side.base for side in comparison.sides],
        **_counts(comparison.results),
        "sent_again": comparison.sent_again,
        "not_sent": len(comparison.plan),
        "incomplete": comparison.incomplete,
        "logged": dict(logged),
        "kinds": {kind: _counts(group) | _times(group) for kind, group in kinds.items()},
        "reasons": _reasons(comparison, differing),
        "differences": [
            result._asdict() | {"fields": [each._asdict() for each in result.fields]}
            for result in differing
        ],
    }


def _counts(results: list[Result]) -> Document:
    found = Counter(result.verdict for result in results)
    return {"requests": len(results), **{verdict: found[verdict] for verdict in VERDICTS}}


def _times(results: list[Result]) -> Document:
    """Return the median and the 95th percentile of the seconds that Nova and the service took."""
    return {
        "seconds": [
            (median(times), quantiles(times * 2, n=20, method="inclusive")[-1])
            for times in ([result.seconds[side] for result in results] for side in (0, 1))
        ]
    }


def _reasons(comparison: Comparison, differing: list[Result]) -> list[Document]:
    """Return the reasons of intended differences, the most frequent ones first."""
    names = Counter(name for r in differing for name in {each.reason for each in r.fields} if name)
    reasons = comparison.intended.reasons
    return [
        {"requests": number, "reason": name, "subject": reasons[name]["subject"]}
        | {"why": reasons[name]["why"]}
        for name, number in names.most_common()
    ]


def render(found: Document, form: str) -> str:
    """Return the document as `json` in ASCII, a `table`, or an `html` page that needs no other."""
    if form == "json":
        return json.dumps(found, indent=2) + "\n"
    is_page = form == "html"
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(),
        finalize=None if is_page else _line,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html" if is_page else "report.txt").render(found)


def _line(value: object) -> str:
    """Return a value in one line, without characters that control a terminal."""
    text = str(value)[:_LONGEST_LINE]
    return text if text.isprintable() else ascii(text)[1:-1]
