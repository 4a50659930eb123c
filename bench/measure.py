"""Measure the contestants in interleaved rounds."""

from __future__ import annotations

import itertools
import sys
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.accounting import cpu_seconds, resident_mib
from bench.load import LoadError, run_load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contestants import Contestant
    from bench.stage import Stage

MOST_REQUESTS = 4000


class Sample(NamedTuple):
    """One contestant's results in one round under one load."""

    contestant: str
    images: str
    clients: int
    requests: int
    cpu_ms: float  # per request, all processes together
    per_second: float
    p50_ms: float
    p95_ms: float
    calls: float  # of Glance, per request
    resident_mib: float  # of the largest process


class Course(NamedTuple):
    """The plan of a run.

    Args:
        clients: the numbers of concurrent clients, by the name of the list.
        rounds: how often to measure each load.
        seconds: the approximate duration of a measurement with one client.
    """

    clients: dict[str, Sequence[int]]
    rounds: int
    seconds: float

    def loads(self) -> Iterator[tuple[str, int]]:
        """Yield the name of a list and a number of clients."""
        for images, counts in self.clients.items():
            for clients in counts:
                yield images, clients


def run_course(stage: Stage, contestants: Sequence[Contestant], course: Course) -> list[Sample]:
    """Measure every contestant under every load, in interleaved rounds.

    Other work on the machine then affects all contestants. The order changes with each round.
    """
    samples = []
    for images, clients in course.loads():
        sizes = {one: _requests(stage, one, images, clients, course) for one in contestants}
        for number in range(course.rounds):
            turn = number % len(contestants)
            for one in itertools.chain(contestants[turn:], contestants[:turn]):
                samples.append(_measured(stage, one, images, clients, sizes[one]))
                print(".", end="", file=sys.stderr, flush=True)
        print(f" {images} images, {clients} clients", file=sys.stderr, flush=True)
    return samples


def _requests(
    stage: Stage, contestant: Contestant, images: str, clients: int, course: Course
) -> int:
    """Return the number of requests for a measurement of the planned duration."""
    stage.warm_up(contestant, images)
    load = run_load(
        [contestant.address(stage.project)], stage.headers(images), clients=1, requests=3
    )
    planned = int(course.seconds / median(load.latencies))
    return max(3, 2 * clients, min(planned, MOST_REQUESTS))


def _measured(
    stage: Stage, contestant: Contestant, images: str, clients: int, requests: int
) -> Sample:
    """Measure; if a request fails, print the server's output and measure once more."""
    try:
        return measure(stage, contestant, images, clients, requests)
    except LoadError as error:
        output = contestant.daemon.output()[-2000:]
        print(f"\n{contestant.name} failed: {error}\n{output}", file=sys.stderr, flush=True)
        return measure(stage, contestant, images, clients, requests)


def measure(
    stage: Stage, contestant: Contestant, images: str, clients: int, requests: int
) -> Sample:
    """Measure one contestant under one load."""
    calls, cpu = stage.glance.calls(), cpu_seconds(contestant.daemon.pid)
    load = run_load(
        [contestant.address(stage.project)],
        stage.headers(images),
        clients=clients,
        requests=requests,
    )
    cpu = cpu_seconds(contestant.daemon.pid) - cpu
    calls = stage.glance.calls() - calls - 1  # both counts include the request for the statistics
    return Sample(
        contestant=contestant.name,
        images=images,
        clients=clients,
        requests=requests,
        cpu_ms=1000 * cpu / requests,
        per_second=load.per_second,
        p50_ms=load.percentile_ms(0.5),
        p95_ms=load.percentile_ms(0.95),
        calls=calls / requests,
        resident_mib=resident_mib(contestant.daemon.pid),
    )
