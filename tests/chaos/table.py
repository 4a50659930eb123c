"""The table of faults: read from `faults.yaml`, and written into docs/faults.md.

`python tests/chaos/table.py` writes it; a test says when it has to be written again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "faults.yaml"
DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN = "<!-- tables: made of tests/chaos/faults.yaml by tests/chaos/table.py -->"
NOT_POSSIBLE = "-"


@dataclass(frozen=True)
class Cell:
    """One fault of one dependency, met by one call.

    Args:
        service: `glance`, `keystone` or `memcached`.
        fault: the fault's name.
        call: the call's or caller's name.
        status: what is answered.
        retry_after: the answer's `Retry-After`, None for none.
        within: the setting that bounds the time, or words for it.
        log: a pattern of the log line, None where nothing is amiss.
    """

    service: str
    fault: str
    call: str
    status: int
    retry_after: str | None
    within: str
    log: str | None

    def __str__(self) -> str:
        return f"{self.service} {self.fault}, {self.call}"


def load() -> dict[str, Any]:
    """Return the file as it is."""
    data: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return data


def columns(data: dict[str, Any], service: str) -> dict[str, str]:
    """Return a service's calls, name to meaning."""
    found: dict[str, str] = data["calls" if service == "glance" else "callers"]
    return found


def entry(row: dict[str, Any], call: str) -> str:
    """Return what the table says of a call: a status, perhaps a `Retry-After`, or `-`."""
    return str(row.get(call, row["all"]))


def cells(service: str) -> list[Cell]:
    """Return every cell of a service's table that can be."""
    data = load()
    found = []
    for row in data[service]:
        for call in columns(data, service):
            text = entry(row, call)
            if text == NOT_POSSIBLE:
                continue
            status, _, retry_after = text.partition(", ")
            amiss = int(status) >= 400 or service == "memcached"
            log = row["log"] if amiss and call not in row.get("quiet", []) else None
            found.append(
                Cell(
                    service,
                    str(row["fault"]),
                    call,
                    int(status),
                    retry_after or None,
                    row["within"],
                    log,
                )
            )
    return found


def render() -> str:
    """Return the tables as Markdown."""
    data = load()
    return "\n".join(
        part for name in ("glance", "keystone", "memcached") for part in _table(data, name)
    )


def _table(data: dict[str, Any], service: str) -> list[str]:
    calls = columns(data, service)
    lines = [f"\n## {service.capitalize()}\n"]
    lines += [f"- **{call}**: {meaning}" for call, meaning in calls.items()]
    head = [f"{service.capitalize()} …", *calls, "within"]
    lines += ["", f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    for row in data[service]:
        name = row.get("means") or f"answers {row['fault']}"
        if "means" in row and str(row["fault"]).isdigit():
            name = f"answers {row['fault']}: {row['means']}"
        within = row["within"]
        within = f"`{within}`" if within.startswith("SHIM_") else within
        lines.append(f"| {' | '.join([name, *(entry(row, call) for call in calls), within])} |")
    return lines


def written() -> str:
    """Return the document with today's tables."""
    prose = DOCUMENT.read_text().partition(BEGIN)[0]
    return f"{prose}{BEGIN}\n{render()}\n"


if __name__ == "__main__":
    DOCUMENT.write_text(written())
    sys.stdout.write(f"{DOCUMENT} is written\n")
