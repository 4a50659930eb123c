"""A tally as a table, as CSV or as JSON."""

import csv
import io
import json
from typing import Any

from nova_image_shim.usage.tally import Tally

_COLUMNS = ("calls", "errors", "images", "first_seen", "last_seen", "by_call")
_NUMBERS = {"calls", "errors", "images"}


def to_table(tally: Tally) -> str:
    """Return aligned columns with a heading."""
    rows = [_heading(tally), *_cells(tally)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = {place for place, name in enumerate(_heading(tally)) if name in _NUMBERS}
    lines = []
    for row in rows:
        padded = (
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def to_csv(tally: Tally) -> str:
    """Return comma-separated values with a heading; `by_call` is `CALL NUMBER, CALL NUMBER`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_heading(tally), *_cells(tally)])
    return text.getvalue()


def to_json(tally: Tally) -> str:
    """Return `[{"client": ..., "calls": N, ..., "by_call": {CALL: N}}]`, most calls first."""
    entries: list[dict[str, Any]] = [
        dict(zip(tally.by, key, strict=True))
        | {name: getattr(group, name) for name in _COLUMNS}
        | {"by_call": dict(group.by_call.most_common())}
        for key, group in tally.ranked()
    ]
    return json.dumps(entries, indent=2) + "\n"


def _heading(tally: Tally) -> list[str]:
    return [*tally.by, *_COLUMNS]


def _cells(tally: Tally) -> list[list[str]]:
    rows = []
    for key, group in tally.ranked():
        calls = ", ".join(f"{call} {number}" for call, number in group.by_call.most_common())
        numbers = (group.calls, group.errors, group.images)
        row = [*key, *map(str, numbers), group.first_seen, group.last_seen, calls]
        rows.append([_printable(cell) or "-" for cell in row])
    return rows


def _printable(cell: str) -> str:
    """Return a cell without characters that control a terminal."""
    return cell if cell.isprintable() else ascii(cell)[1:-1]


FORMATS = {"table": to_table, "csv": to_csv, "json": to_json}
