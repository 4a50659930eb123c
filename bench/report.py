"""Write the results as tables into docs/explanation/performance.md, between its two markers."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.figures import Figure, contestants, loads, ratio, series, wait_ratio, waits
from bench.stage import IMAGES
from bench.summary import dump, summary
from bench.targets import targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.figures import Load

    Found = dict[str, Any]

BEGIN, END = "<!-- begin: make bench writes this -->\n", "<!-- end -->\n"
POLLING = {
    "per_second": "responses/s",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "glance_cpu_ms": "CPU of Glance, ms per response",
    "glance_cores": "cores busy with Glance",
    "shim_cpu_ms": "CPU of the shim, ms per response",
}
NAMES = {"alone": "urllib3 alone", "models": "glanceclient's models", "nova": "Nova 34"}
WAITING = ("shim", "floor", "alone")
CPU_OF = ("CPU ms of Glance", *(f"of {NAMES.get(name, f'the {name}')}" for name in WAITING))


def write_report(found: Found, folder: Path) -> None:
    """Write the tables to performance.md in `folder`/explanation, and the plot to images."""
    from bench.plot import draw  # noqa: PLC0415 - matplotlib is not needed to read a report

    (folder / "explanation" / "performance.json").write_text(dump(summary(found)))
    path = folder / "explanation" / "performance.md"
    head, _, rest = path.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    path.write_text(head + BEGIN + "\n" + "\n".join(lines(found)) + "\n" + END + tail)
    draw(found, folder / "images" / "performance.svg")


def lines(found: Found) -> Iterator[str]:
    """Yield the report's lines."""
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    first, last = min(found["when"].values()), max(found["when"].values())
    yield f"Measured from {first} to {last}, {found['rounds']} interleaved rounds; load average"
    yield f"of the machine before: {found['load_before']:.2f}. {machine}."
    yield ""
    yield "### Targets"
    yield ""
    yield from table(("ratio", "measured", "limit", ""), _target_rows(found))
    yield "### CPU time per request, one client, ms"
    yield ""
    everyone = contestants(found)
    shown = [NAMES.get(name, name) for name in everyone]
    yield from table(("images", *shown), _cpu_rows(found, everyone))
    yield "### CPU time of the shim, as a ratio to that of"
    yield ""
    yield from table(("images", *shown[1:]), _ratio_rows(found, everyone[1:]))
    yield "### Requests per second, and p50 / p95 in ms"
    yield ""
    yield from table(("images", "clients", *shown), _speed_rows(found, everyone))
    yield "### Glance calls per request, and memory of a worker in MiB at the end"
    yield ""
    yield from table(("", *shown), _other_rows(found, everyone))
    yield "### Memory of one worker in MiB, and its start-up time"
    yield ""
    memory = ((name.replace("_", " "), f"{value:.1f}") for name, value in found["memory"].items())
    yield from table(("", "measured"), memory)
    yield "### Against the real Glance, one client"
    yield ""
    times = (f"{NAMES.get(name, name)}, relative to it" for name in WAITING)
    header = ("images", "Glance p50 ms", *times, *CPU_OF)
    yield from table(header, _glance_rows(found))
    yield "### Time in the application by owner of the code: ms per request, under cProfile"
    yield ""
    yield from table(("", *found["profile"]), _profile_rows(found["profile"]))
    yield "### 32 clients polling 1000 images of the real Glance"
    yield ""
    yield from table(("lists cached for", *POLLING.values()), _polling_rows(found))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a table's lines and an empty one."""
    header = list(header)
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _target_rows(found: Found) -> Iterator[tuple[str, ...]]:
    for target in targets(found):
        bound = f"{'≥' if target.is_least else '≤'} {target.bound:.3g}"
        yield target.text, f"{target.found:.3g}", bound, "met" if target.is_met else "**missed**"


def _cpu_rows(found: Found, everyone: list[str]) -> Iterator[tuple[str, ...]]:
    for load in _of_one_client(found):
        yield load[0], *(_cell(series(found, "cpu_ms", name, load)) for name in everyone)


def _ratio_rows(found: Found, others: list[str]) -> Iterator[tuple[str, ...]]:
    for load in _of_one_client(found):
        yield load[0], *(ratio(found, "cpu_ms", "shim", name, load).text() for name in others)


def _of_one_client(found: Found) -> list[Load]:
    return [load for load in loads(found) if load[1] == 1]


def _speed_rows(found: Found, everyone: list[str]) -> Iterator[tuple[str, ...]]:
    for load in sorted(loads(found), key=lambda load: (list(IMAGES).index(load[0]), load[1])):
        cells = []
        for name in everyone:
            fields = ("per_second", "p50_ms", "p95_ms")
            each = [series(found, field, name, load) for field in fields]
            numbers = [median(values) for values in each if values]
            cells.append("{:.3g}; {:.3g} / {:.3g}".format(*numbers) if numbers else "-")
        yield load[0], str(load[1]), *cells


def _other_rows(found: Found, everyone: list[str]) -> Iterator[tuple[str, ...]]:
    for images in ("25", "1000"):
        calls = [series(found, "calls", name, (images, 1)) for name in everyone]
        yield f"calls, {images} images", *(f"{median(v):.1f}" if v else "-" for v in calls)
    sizes = [series(found, "resident_mib", name, ("25", 1)) for name in everyone]
    yield "memory, 25 images", *(f"{max(values):.0f}" if values else "-" for values in sizes)


def _glance_rows(found: Found) -> Iterator[tuple[str, ...]]:
    for images in dict.fromkeys(sample["images"] for sample in found["against_glance"]):
        ratios = (wait_ratio(found, name, images).text() for name in WAITING)
        cpu = (_cell(waits(found, "cpu_ms", name, images)) for name in ("glance", *WAITING))
        yield str(images), _cell(waits(found, "p50_ms", "glance", images)), *ratios, *cpu


def _profile_rows(profile: Found) -> Iterator[tuple[str, ...]]:
    totals = {images: sum(parts.values()) for images, parts in profile.items()}
    for part in dict.fromkeys(part for parts in profile.values() for part in parts):
        shares = ((parts.get(part, 0), totals[images]) for images, parts in profile.items())
        yield part, *(f"{value:.3f}, {100 * value / total:.0f} %" for value, total in shares)


def _polling_rows(found: Found) -> Iterator[tuple[str, ...]]:
    for seconds, values in found["polling"].items():
        yield f"{seconds} s", *(f"{values[name]:.3g}" for name in POLLING)


def _cell(values: list[float]) -> str:
    return Figure.of(values).text() if values else "-"
