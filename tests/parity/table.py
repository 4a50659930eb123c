"""The tables of docs/reference/differences.md, from `intended.yaml`."""

from itertools import groupby

from .exchange import load_requests
from .intended import Reason, load_intended


def render() -> str:
    """Return the number of differing responses, and a table for each group of reasons."""
    intended = load_intended()
    differing = {key.request for key in intended.differences}
    head = (
        f"Of {len(load_requests())} requests, {len(differing)} get a response that differs on "
        "purpose.\n(`Cache-Control` and `Vary`, which differ in every response, are not counted.)"
    )
    groups = groupby(intended.reasons.values(), lambda reason: reason.table)
    return "\n\n".join([head, *(_table(title, list(reasons)) for title, reasons in groups)])


def _table(title: str, reasons: list[Reason]) -> str:
    lines = [f"## {title}", "", "| subject | Nova | here | why |", "| --- | --- | --- | --- |"]
    rows = ((each.subject, each.nova, each.here, each.why) for each in reasons)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
