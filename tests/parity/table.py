"""The tables of intended differences in docs/reference, from the files `intended.yaml`."""

from itertools import groupby
from operator import itemgetter
from pathlib import Path

from nova_image_shim.compare.intended import load_intended

from .exchange import FILES, load_requests
from .report import INTENDED_FILES, load_differences


def render(
    folder: Path = FILES,
    files: tuple[Path, Path] = INTENDED_FILES,
    service: str = "Nova",
    uncounted: str = "`Cache-Control` and `Vary`, which differ in every response,",
) -> str:
    """Return the number of differing responses, and a table for each group of reasons.

    Args:
        folder: that of the requests.
        files: that of the reasons, and that of the intended differences.
        service: the other service.
        uncounted: the headers that are intended to differ in any response.
    """
    reasons = load_intended(files[0], service.lower()).reasons
    differing = {key.request for key in load_differences(files[1], service.lower())}
    head = (
        f"Of {len(load_requests(folder))} requests, {len(differing)} get a response that differs "
        f"on purpose.\n({uncounted} are not counted.)"
    )
    groups = groupby(reasons.values(), itemgetter("table"))
    tables = {title: _table(list(rows), service) for title, rows in groups}
    titled = [f"## {title}\n\n{table}" for title, table in tables.items()]
    return "\n\n".join([head, *(titled if len(tables) > 1 else tables.values())])


def _table(reasons: list[dict[str, str]], service: str) -> str:
    lines = [f"| subject | {service} | here | why |", "| --- | --- | --- | --- |"]
    rows = map(itemgetter("subject", service.lower(), "here", "why"), reasons)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
