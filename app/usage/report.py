"""A tally as a table, as CSV or as JSON; each ends with what the tally lacks, if anything."""

import csv
import io
import json
from typing import Any

from nova_image_shim.usage.tally import Tally

_COLUMNS = ("calls", "errors", "images", "first_seen", "last_seen", "by_call")
_NUMBERS = {"calls", "errors", "images"}


def to_table(tally: Tally) -> str:
    """Return aligned columns with a heading."""
    columns = [_aligned(*column) for column in zip(*_rows(tally), strict=True)]
    rows = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
    lacks = ["", *_incomplete(tally)] if tally.incomplete else []
    return "".join(f"{line}\n" for line in rows + lacks)


def to_csv(tally: Tally) -> str:
    """Return comma-separated values with a heading; `by_call` is `CALL NUMBER, CALL NUMBER`.

    What the tally lacks are rows of one cell.
    """
    text = io.StringIO()
    lacks = [[line] for line in _incomplete(tally)]
    csv.writer(text, lineterminator="\n").writerows(_rows(tally) + lacks)
    return text.getvalue()


def to_json(tally: Tally) -> str:
    """Return `[{"client": ..., "calls": N, ..., "by_call": {CALL: N}}]`, most calls first.

    What the tally lacks are further entries, `{"incomplete": TEXT}`.
    """
    entries: list[dict[str, Any]] = [
        dict(zip(tally.by, key, strict=True))
        | {name: getattr(group, name) for name in _COLUMNS}
        | {"by_call": dict(group.by_call.most_common())}
        for key, group in tally.ranked()
    ]
    lacks = [{"incomplete": text} for text in tally.incomplete]
    return json.dumps(entries + lacks, indent=2) + "\n"


def _incomplete(tally: Tally) -> list[str]:
    return [f"Incomplete: {_printable(text)}" for text in tally.incomplete]


def _rows(tally: Tally) -> list[list[str]]:
    """Return the heading and a row for each group."""
    rows = [[*tally.by, *_COLUMNS]]
    for key, group in tally.ranked():
        calls = ", ".join(f"{call} {number}" for call, number in group.by_call.most_common())
        values = [str(getattr(group, name)) for name in _COLUMNS[:-1]]
        rows.append([_printable(cell) or "-" for cell in (*key, *values, calls)])
    return rows


def _aligned(name: str, *cells: str) -> list[str]:
    width = max(map(len, (name, *cells)))
    align = str.rjust if name in _NUMBERS else str.ljust
    return [align(cell, width) for cell in (name, *cells)]


def _printable(cell: str) -> str:
    """Return a cell without characters that control a terminal."""
    return cell if cell.isprintable() else ascii(cell)[1:-1]


FORMATS = {"table": to_table, "csv": to_csv, "json": to_json}
