"""One measurement, and rounds of them in which every contestant has its turn."""

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
    """What one contestant did in one round under one load."""

    contestant: str
    images: str
    clients: int
    requests: int
    cpu_ms: float  # a request, all its processes together
    per_second: float
    p50_ms: float
    p95_ms: float
    calls: float  # of Glance, a request
    resident_mib: float  # the largest of its processes


class Course(NamedTuple):
    """What is run.

    Args:
        clients: how many ask at once, by the name of the list.
        rounds: how often each load is measured.
        seconds: about how long one client would ask in one measurement.
    """

    clients: dict[str, Sequence[int]]
    rounds: int
    seconds: float

    def loads(self) -> Iterator[tuple[str, int]]:
        """Yield the name of a list and how many clients ask for it."""
        for images, counts in self.clients.items():
            for clients in counts:
                yield images, clients


def run_course(stage: Stage, contestants: Sequence[Contestant], course: Course) -> list[Sample]:
    """Measure everyone under every load, in interleaved rounds.

    What the machine does besides then hits all alike, and the order changes from round to round.
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
    """Return how many requests make a measurement of the wanted length."""
    stage.warm_up(contestant, images)
    load = run_load(
        [contestant.address(stage.project)], stage.headers(images), clients=1, requests=3
    )
    wanted = int(course.seconds / median(load.latencies))
    return max(3, 2 * clients, min(wanted, MOST_REQUESTS))


def _measured(
    stage: Stage, contestant: Contestant, images: str, clients: int, requests: int
) -> Sample:
    """Measure, and once more where a request failed; that is told, with what the server said."""
    try:
        return measure(stage, contestant, images, clients, requests)
    except LoadError as error:
        said = contestant.daemon.output()[-2000:]
        print(f"\n{contestant.name} failed: {error}\n{said}", file=sys.stderr, flush=True)
        return measure(stage, contestant, images, clients, requests)


def measure(
    stage: Stage, contestant: Contestant, images: str, clients: int, requests: int
) -> Sample:
    """Return what one contestant does under one load."""
    calls, cpu = stage.glance.calls(), cpu_seconds(contestant.daemon.pid)
    load = run_load(
        [contestant.address(stage.project)],
        stage.headers(images),
        clients=clients,
        requests=requests,
    )
    cpu = cpu_seconds(contestant.daemon.pid) - cpu
    calls = stage.glance.calls() - calls - 1  # the question after the load is counted in both
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
