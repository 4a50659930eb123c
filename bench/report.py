"""Write the results as tables into docs/explanation/performance.md, between its two markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.sections import SECTIONS, table
from bench.summary import dump, summary
from bench.targets import targets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Found = dict[str, Any]

BEGIN, END = "<!-- begin: make bench writes this -->\n", "<!-- end -->\n"


def write_report(found: Found, folder: Path) -> None:
    """Write the tables to performance.md in `folder`/explanation, and the plot to images."""
    from bench.plot import draw  # noqa: PLC0415 - matplotlib is not needed to read a report

    (folder / "explanation" / "performance.json").write_text(dump(summary(found)))
    path = folder / "explanation" / "performance.md"
    head, _, rest = path.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    path.write_text(head + BEGIN + "\n" + "\n".join(lines(found)) + "\n" + END + tail)
    if "samples" in found:
        draw(found["samples"], folder / "images" / "performance.svg")


def lines(found: Found) -> Iterator[str]:
    """Yield the report's lines, with a section for each part that was measured."""
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    first, last = min(found["when"].values()), max(found["when"].values())
    yield f"Measured from {first} to {last}, {found['rounds']} interleaved rounds; load average"
    yield f"of the machine before: {found['load_before']:.2f}. {machine}."
    yield ""
    yield "### Targets"
    yield ""
    yield from table(("ratio", "measured", "limit", ""), _target_rows(found))
    for part, section in SECTIONS.items():
        if part in found:
            yield from section(found[part])


def _target_rows(found: Found) -> Iterator[tuple[str, ...]]:
    for target in targets(found):
        bound = f"{'≥' if target.is_least else '≤'} {target.bound:.3g}"
        yield target.text, f"{target.found:.3g}", bound, "met" if target.is_met else "**missed**"
