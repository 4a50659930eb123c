"""The table of faults in `faults.yaml`: as cells to run, and as Markdown for the documentation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "faults.yaml"
NOT_POSSIBLE = "-"


@dataclass(frozen=True)
class Cell:
    """One fault of one dependency, during one call.

    Args:
        service: `glance`, `keystone` or `memcached`.
        fault: the fault's name.
        call: the call's or caller's name.
        status: the status of the response.
        retry_after: the response's `Retry-After`; None if it has none.
        within: the setting that bounds the time, or a description of the bound.
        log: a pattern for the log line; None if nothing is logged.
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
    """Return the contents of the file."""
    data: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return data


def columns(data: dict[str, Any], service: str) -> dict[str, str]:
    """Return descriptions of a service's calls by name."""
    found: dict[str, str] = data["calls" if service == "glance" else "callers"]
    return found


def entry(row: dict[str, Any], call: str) -> str:
    """Return a call's table entry: a status, possibly with `Retry-After`, or `-`."""
    return str(row.get(call, row["all"]))


def cells(service: str) -> list[Cell]:
    """Return all possible cells of a service's table."""
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
    lines = [f"\n### {service.capitalize()}\n"]
    lines += [f"- **{call}**: {meaning}" for call, meaning in calls.items()]
    head = [f"{service.capitalize()} …", *calls, "within"]
    lines += ["", f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    for row in data[service]:
        name = row.get("means") or f"returns {row['fault']}"
        if "means" in row and str(row["fault"]).isdigit():
            name = f"returns {row['fault']}: {row['means']}"
        within = row["within"]
        within = f"`{within}`" if within.startswith("SHIM_") else within
        lines.append(f"| {' | '.join([name, *(entry(row, call) for call in calls), within])} |")
    return lines
