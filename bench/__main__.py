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
from bench.check import require_same_answers
from bench.logins import run_logins
from bench.measure import Course, run_course
from bench.memory import run_memory
from bench.polling import run_polling
from bench.profile import run_profile
from bench.report import write_report
from bench.slow import run_slow
from bench.stage import IMAGES, Stage, start_contestants
from bench.static_glance import is_slow_possible
from bench.targets import gross_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The first number of clients shows the cost of a request, the second the throughput.
FULL = Course(dict.fromkeys(IMAGES, (1,)), rounds=11, seconds=1.0)
CROWDS: dict[str, Sequence[int]] = dict.fromkeys(("25", "100", "1000"), (8, 32))
SHORT = Course({"25": (1,), "1000": (1,)}, rounds=3, seconds=0.7)
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
        return [sample._asdict() for sample in run_course(stage, found, SHORT)]


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
            when[part] = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
            found[part] = PARTS[part](stage, course)
            file.write_text(json.dumps(found, indent=1) + "\n")


def _samples(stage: Stage, course: Course) -> list[dict[str, Any]]:
    everyone = start_contestants(stage)
    require_same_answers(stage, everyone, list(IMAGES))
    crowds = course._replace(clients=CROWDS, rounds=max(1, course.rounds // 3))
    samples = [*run_course(stage, everyone, course), *run_course(stage, everyone, crowds)]
    for one in everyone:
        one.daemon.kill()
    return [one._asdict() for one in samples]


def _slow(stage: Stage, course: Course) -> dict[str, list[float]] | None:
    return run_slow(stage, course.rounds + 4, requests=1500) if is_slow_possible() else None


def _against_glance(stage: Stage, course: Course) -> list[dict[str, Any]]:
    # Many short turns, because the real Glance's speed varies by a third within a minute.
    waits = run_against_glance(stage, [25, 100, 1000], 3 * course.rounds, course.seconds / 2)
    waits += run_against_glance(stage, [10000], max(1, course.rounds // 2), course.seconds)
    return [sample._asdict() for sample in waits]


PARTS: dict[str, Callable[[Stage, Course], Any]] = {
    "memory": lambda stage, _course: run_memory(stage),
    "samples": _samples,
    "slow": _slow,
    "against_glance": _against_glance,
    "profile": lambda stage, _course: run_profile(stage),
    "polling": lambda stage, _course: run_polling(stage),
    "logins": lambda stage, course: run_logins(stage, 10 * course.rounds),
}

if __name__ == "__main__":
    main()
