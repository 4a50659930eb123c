"""The report's sections: the tables of each part of a run."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.cached import CODINGS
from bench.figures import Figure, contestants, loads, ratio, series, wait_ratio, waits
from bench.slow import FLOOD_CLIENTS
from bench.stage import IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bench.figures import Load

    Found = dict[str, Any]
    Samples = list[Found]

FIELDS = {
    "per_second": "responses/s",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "longest_ms": "longest ms",
    "refused": "503",
    "stale": "stale",
    "threads": f"threads of a process, {FLOOD_CLIENTS} clients",
    "glance_cpu_ms": "CPU of Glance, ms per response",
    "glance_cores": "cores busy with Glance",
    "shim_cpu_ms": "CPU of the shim, ms per response",
}
NAMES = {"alone": "urllib3 alone", "models": "glanceclient's models", "nova": "Nova 34"}
IN_PYTHON = ("shim", "before", "floor", "alone")  # as they are served by threads of one interpreter
WAITING = ("shim", "floor", "alone")
CPU_OF = ("CPU ms of Glance", *(f"of {NAMES.get(name, f'the {name}')}" for name in WAITING))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a table's lines and an empty one."""
    header = list(header)
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def section(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a section with one table."""
    yield f"### {title}"
    yield ""
    yield from table(header, rows)


def _samples(samples: Samples) -> Iterator[str]:
    for_one = contestants(samples, ("25", 1))
    shown = _shown(for_one)
    title = "CPU time per request, one client, ms"
    yield from section(title, ("images", *shown), _cpu_rows(samples, for_one))
    title = "CPU time of the shim, as a ratio to that of"
    yield from section(title, ("images", *shown[1:]), _ratio_rows(samples, for_one[1:]))
    everyone = contestants(samples)
    title = "Requests per second, and p50 / p95 in ms"
    header = ("images", "clients", *_shown(everyone))
    yield from section(title, header, _speed_rows(samples, everyone))
    title = "Switches of threads per request"
    names = [name for name in IN_PYTHON if name in everyone]
    header = ("images", "clients", *_shown(names))
    yield from section(title, header, _switch_rows(samples, names))
    title = "Glance calls per request; memory of a worker in MiB at the end"
    yield from section(title, ("", *_shown(everyone)), _other_rows(samples, everyone))


def _switch_rows(samples: Samples, names: list[str]) -> Iterator[tuple[str, ...]]:
    for images, clients in loads(samples):
        values = [series(samples, "switches", name, (images, clients)) for name in names]
        if all(values):
            yield images, str(clients), *map(_cell, values)


def _shown(names: Iterable[str]) -> list[str]:
    return [NAMES.get(name, name) for name in names]


def _few_clients(samples: Samples) -> Iterator[str]:
    title = "Response time of few clients of one process, p50 in ms"
    rows = (
        (
            *map(str, load),
            *(_cell(series(samples, "p50_ms", way, load)) for way in ("alone", "shared")),
            ratio(samples, "p50_ms", "shared", "alone", load).text(),
        )
        for load in loads(samples)
    )
    header = ("images", "clients", "sharing off", "sharing on", "ratio")
    yield from section(title, header, rows)


def _cached(samples: Samples) -> Iterator[str]:
    title = "Cached lists, one client: CPU ms per request, beside nginx with the same bytes"
    rows = (
        (
            coding,
            load[0],
            *(_cell(series(samples, "cpu_ms", name, load)) for name in names),
            ratio(samples, "cpu_ms", *names, load).text(),
        )
        for coding in CODINGS
        for names in [(f"cached, {coding}", f"nginx, {coding}")]
        for load in loads(samples)
    )
    yield from section(title, ("", "images", "shim", "nginx", "ratio"), rows)


def _limited(limited: dict[str, Samples]) -> Iterator[str]:
    title = "32 clients polling 25 images; Glance serves two requests at a time in 0.3 s"
    yield from _grouped(title, ("",), {(name,): rounds for name, rounds in limited.items()})


def _polling(polled: Samples) -> Iterator[str]:
    title = "32 clients polling 1000 images of the real Glance"
    yield from _grouped(title, ("each list", "workers"), _groups(polled, "way", "workers"))


def _mixed(samples: Samples) -> Iterator[str]:
    title = "Lists of 25 images while as many clients fetch 1000 images"
    yield from _grouped(title, ("", "clients"), _groups(samples, "contestant", "clients"))


def _groups(samples: Samples, *keys: str) -> dict[tuple[str, ...], Samples]:
    """Return the rounds of each combination of values of the keys."""
    groups: dict[tuple[str, ...], Samples] = {}
    for one in samples:
        groups.setdefault(tuple(str(one[key]) for key in keys), []).append(one)
    return groups


def _grouped(
    title: str, labels: tuple[str, ...], groups: dict[tuple[str, ...], Samples]
) -> Iterator[str]:
    """Yield a section with a row for each group and a column for each field."""
    first = next(iter(groups.values()))[0]
    fields = [field for field in FIELDS if field in first]
    rows = (
        (*label, *(_cell([one[field] for one in rounds]) for field in fields))
        for label, rounds in groups.items()
    )
    yield from section(title, (*labels, *(FIELDS[field] for field in fields)), rows)


def _switch(samples: Samples) -> Iterator[str]:
    *plain, mixed = loads(samples)
    title = "The interpreter's switch interval: requests per second, 8 clients"
    names = contestants(samples)
    rows = (
        (
            name,
            *(_cell(series(samples, "per_second", name, load)) for load in plain),
            *(_cell(series(samples, field, name, mixed)) for field in ("p50_ms", "p99_ms")),
        )
        for name in names
    )
    beside = [f"{field} ms, 25 beside 1000, 4 clients" for field in ("p50", "p99")]
    header = ("seconds", *(f"{images} images" for images, _ in plain), *beside)
    yield from section(title, header, rows)


def _cpu_rows(samples: Samples, everyone: list[str]) -> Iterator[tuple[str, ...]]:
    for load in _of_one_client(samples):
        yield load[0], *(_cell(series(samples, "cpu_ms", name, load)) for name in everyone)


def _ratio_rows(samples: Samples, others: list[str]) -> Iterator[tuple[str, ...]]:
    for load in _of_one_client(samples):
        yield load[0], *(ratio(samples, "cpu_ms", "shim", name, load).text() for name in others)


def _of_one_client(samples: Samples) -> list[Load]:
    return [load for load in loads(samples) if load[1] == 1]


def _speed_rows(samples: Samples, everyone: list[str]) -> Iterator[tuple[str, ...]]:
    for load in sorted(loads(samples), key=lambda load: (list(IMAGES).index(load[0]), load[1])):
        cells = []
        for name in everyone:
            fields = ("per_second", "p50_ms", "p95_ms")
            each = [series(samples, field, name, load) for field in fields]
            numbers = [median(values) for values in each if values]
            cells.append("{:.3g}; {:.3g} / {:.3g}".format(*numbers) if numbers else "-")
        yield load[0], str(load[1]), *cells


def _other_rows(samples: Samples, everyone: list[str]) -> Iterator[tuple[str, ...]]:
    rows = (
        ("calls, 25 images", "calls", ("25", 1)),
        ("calls, 1000 images", "calls", ("1000", 1)),
        ("memory, 25 images", "resident_mib", ("25", 1)),
    )
    for text, field, load in rows:
        each = (series(samples, field, name, load) for name in everyone)
        yield text, *(f"{median(found):.3g}" if found else "-" for found in each)


def _against_glance(samples: Samples) -> Iterator[str]:
    times = (f"{NAMES.get(name, name)}, relative to it" for name in WAITING)
    header = ("images", "Glance p50 ms", *times, *CPU_OF)
    yield from section("Against the real Glance, one client", header, _glance_rows(samples))


def _glance_rows(samples: Samples) -> Iterator[tuple[str, ...]]:
    for images in dict.fromkeys(sample["images"] for sample in samples):
        ratios = (wait_ratio(samples, name, images).text() for name in WAITING)
        cpu = (_cell(waits(samples, "cpu_ms", name, images)) for name in ("glance", *WAITING))
        yield str(images), _cell(waits(samples, "p50_ms", "glance", images)), *ratios, *cpu


def _memory(memory: Found) -> Iterator[str]:
    rows = ((name.replace("_", " "), f"{value:.1f}") for name, value in memory.items())
    title = "Memory of one worker in MiB, and its start-up time"
    yield from section(title, ("", "measured"), rows)


def _profile(profile: Found) -> Iterator[str]:
    title = "Time in the application by owner of the code: ms per request, under cProfile"
    yield from section(title, ("", *profile), _profile_rows(profile))


def _profile_rows(profile: Found) -> Iterator[tuple[str, ...]]:
    totals = {images: sum(parts.values()) for images, parts in profile.items()}
    for part in dict.fromkeys(part for parts in profile.values() for part in parts):
        shares = ((parts.get(part, 0), totals[images]) for images, parts in profile.items())
        yield part, *(f"{value:.3f}, {100 * value / total:.0f} %" for value, total in shares)


def _cell(values: list[float]) -> str:
    return Figure.of(values).text() if values else "-"


SECTIONS: dict[str, Callable[[Any], Iterator[str]]] = {
    "samples": _samples,
    "limited": _limited,
    "polling": _polling,
    "few_clients": _few_clients,
    "cached": _cached,
    "mixed": _mixed,
    "switch": _switch,
    "memory": _memory,
    "against_glance": _against_glance,
    "profile": _profile,
}
