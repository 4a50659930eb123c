"""The tables of docs/reference/differences.md, from `intended.yaml`."""

from itertools import groupby

from nova_image_shim.compare.intended import Reason, load_intended

from .exchange import load_requests
from .report import INTENDED_FILES


def render() -> str:
    """Return the number of differing responses, and a table for each group of reasons."""
    intended = load_intended(*INTENDED_FILES)
    differing = {key.request for key in intended.differences}
    head = (
        f"Of {len(load_requests())} requests, {len(differing)} get a response that differs on "
        "purpose.\n(`Cache-Control` and `Vary`, which differ in every response, are not counted.)"
    )
    groups = groupby(intended.reasons.values(), lambda reason: reason.table)
    return "\n\n".join([head, *(_table(title, list(reasons)) for title, reasons in groups)])


def _table(title: str, reasons: list[Reason]) -> str:
    lines = [f"## {title}", "", "| subject | Nova | here | why |", "| --- | --- | --- | --- |"]
    rows = ((each.subject, each.theirs, each.ours, each.why) for each in reasons)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
