"""Run the benchmark and write the results: `make bench`, or `make bench-short` for CI."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import machine
from bench.against_glance import run_against_glance
from bench.cached import run_cached
from bench.check import require_same_answers
from bench.logins import run_logins
from bench.measure import Course, Sample, run_course
from bench.memory import run_memory
from bench.profile import run_profile
from bench.report import write_report
from bench.sharing import run_few_clients, run_polling
from bench.slow import run_limited, run_slow
from bench.stage import IMAGES, Stage, start_contestants
from bench.switch import SMALL_BESIDE_LARGE, run_switch
from bench.targets import gross_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# One client shows the cost of a request, several the throughput.
LISTS = [images for images in IMAGES if images != "1"]
FULL = Course(dict.fromkeys(LISTS, (1,)), rounds=7, seconds=1.0)
CONTESTANTS = ("shim", "before", "floor", "bare floor", "alone", "nginx", "models", "nova")
CROWDS = dict.fromkeys(("25", "100", "1000"), (8, 32))
IN_CROWDS = ("shim", "before", "sharing", "floor", "alone", "nginx", "nova")
MIXED = {SMALL_BESIDE_LARGE: (4,)}
SHORT = Course({"25": (1,), "1000": (1,)}, rounds=3, seconds=0.4)
SHORT_CONTESTANTS = ("shim", "floor")


def main() -> None:
    """Run the benchmark; exit with 1 if the short form finds a gross loss."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="only shim and floor, without a report"
    )
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of a measurement")
    parser.add_argument(
        "--samples", type=Path, default=Path(".bench/samples.json"), help="where raw samples go"
    )
    parser.add_argument("--report", type=Path, default=Path("docs"), help="where the report goes")
    parser.add_argument(
        "--before", type=Path, metavar="CHECKOUT", help="measure another checkout of this as well"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if options.short:
        sys.exit("\n".join(gross_losses(run_short())) or 0)
    course = FULL._replace(rounds=options.rounds, seconds=options.seconds)
    run_parts(options.parts, course, options.samples, options.before)
    write_report(json.loads(options.samples.read_text()), options.report)


def run_short() -> list[dict[str, Any]]:
    """Return the samples of shim and floor in JSON form."""
    with Stage() as stage:
        found = start_contestants(stage, SHORT_CONTESTANTS)
        require_same_answers(stage, found, list(SHORT.clients))
        return _rows(run_course(stage, found, SHORT))


def run_parts(parts: Sequence[str], course: Course, file: Path, before: Path | None = None) -> None:
    """Run the parts one by one and save each, so that a failing part loses no other results.

    Args:
        parts: names in `PARTS`; the file's results of other parts are kept.
        course: the loads, rounds and duration.
        file: the JSON file for the raw results.
        before: another checkout to measure beside this one.
    """
    file.parent.mkdir(exist_ok=True)
    kept = file.exists() and len(parts) < len(PARTS)
    found: dict[str, Any] = json.loads(file.read_text()) if kept else {}
    found |= {
        "load_before": machine.load_average(),
        "machine": machine.describe(),
        "rounds": course.rounds,
    }
    when = found.setdefault("when", {})
    with Stage(before) as stage:
        for part in parts:
            started = datetime.now(UTC)
            found[part] = PARTS[part](stage, course)
            when[part] = f"{started:%Y-%m-%d %H:%M} UTC"
            seconds = (datetime.now(UTC) - started).total_seconds()
            print(f"{part} took {seconds:.0f} s", file=sys.stderr, flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n")


def _samples(stage: Stage, course: Course) -> list[dict[str, Any]]:
    everyone = start_contestants(stage, CONTESTANTS)
    require_same_answers(stage, everyone, LISTS)
    samples = run_course(stage, everyone, course)
    everyone += start_contestants(stage, ("sharing",))
    in_crowds = [one for name in IN_CROWDS for one in everyone if one.name == name]
    fewer = course._replace(clients=CROWDS, rounds=max(1, course.rounds * 2 // 3))
    samples += run_course(stage, in_crowds, fewer)
    for one in everyone:
        one.daemon.kill()
    return _rows(samples)


def _mixed(stage: Stage, course: Course) -> list[dict[str, Any]]:
    every = start_contestants(stage, ("shim", "before", "floor"))
    samples = run_course(stage, every, course._replace(clients=MIXED, seconds=course.seconds / 2))
    for one in every:
        one.daemon.kill()
    return _rows(samples)


def _against_glance(stage: Stage, course: Course) -> list[dict[str, Any]]:
    # Many short turns, because the real Glance's speed varies by a third within a minute.
    waits = run_against_glance(stage, [25, 100, 1000], 2 * course.rounds, course.seconds / 2)
    waits += run_against_glance(stage, [10000], max(1, course.rounds // 5), course.seconds)
    return [sample._asdict() for sample in waits]


def _rows(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [sample._asdict() for sample in samples]


def _shorter(course: Course) -> Course:
    return course._replace(rounds=max(1, course.rounds // 2), seconds=course.seconds / 2)


PARTS: dict[str, Callable[[Stage, Course], Any]] = {
    "memory": lambda stage, _course: run_memory(stage),
    "samples": _samples,
    "cached": lambda stage, course: _rows(run_cached(stage, course.rounds)),
    "few_clients": lambda stage, _course: _rows(run_few_clients(stage)),
    "limited": lambda stage, course: run_limited(stage, max(1, course.rounds // 2)),
    "slow": lambda stage, course: run_slow(stage, course.rounds),
    "mixed": _mixed,
    "switch": lambda stage, course: _rows(run_switch(stage, _shorter(course))),
    "polling": lambda stage, course: run_polling(stage, max(1, course.rounds // 5)),
    "against_glance": _against_glance,
    "profile": lambda stage, _course: run_profile(stage),
    "logins": lambda stage, course: run_logins(stage, 10 * course.rounds),
}

if __name__ == "__main__":
    main()
