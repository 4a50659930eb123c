"""Measure the contestants in interleaved rounds."""

from __future__ import annotations

import itertools
import sys
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.accounting import context_switches, cpu_seconds, resident_mib
from bench.load import LoadError, endless_load, run_load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.contestants import Contestant
    from bench.stage import Stage

MOST_REQUESTS = 4000
BESIDE = " beside "  # "25 beside 1000": as many other clients fetch the second list meanwhile


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
    p99_ms: float
    switches: float  # of threads, per request, all processes together
    calls: float  # of Glance, per request
    resident_mib: float  # of the largest process


class Course(NamedTuple):
    """The plan of a run.

    Args:
        clients: the numbers of concurrent clients, by the name of the list; see `BESIDE`.
        rounds: how often to measure each load.
        seconds: the approximate duration of a measurement with one client.
    """

    clients: Mapping[str, Sequence[int]]
    rounds: int
    seconds: float

    def loads(self) -> Iterator[tuple[str, int]]:
        """Yield the name of a list and a number of clients."""
        for images, counts in self.clients.items():
            for clients in counts:
                yield images, clients


def run_course(stage: Stage, contestants: Sequence[Contestant], course: Course) -> list[Sample]:
    """Measure every contestant under every load, in interleaved rounds.

    Other work on the machine then affects all of them. The order changes with each round.
    """
    loads = list(course.loads())
    sizes = {
        (one, images): _requests(stage, one, images, course)
        for images in course.clients
        for one in contestants
    }
    samples = []
    for number in range(course.rounds):
        turn = number % len(contestants)
        order = (*contestants[turn:], *contestants[:turn])
        for (images, clients), one in itertools.product(loads, order):
            requests = max(2 * clients, sizes[one, images])
            samples.append(_measured(stage, one, images, clients, requests))
            print(".", end="", file=sys.stderr, flush=True)
        print(f" {number + 1} of {course.rounds}", file=sys.stderr, flush=True)
    return samples


def _requests(stage: Stage, contestant: Contestant, images: str, course: Course) -> int:
    """Return the number of requests for a measurement of the planned duration."""
    images = images.partition(BESIDE)[0]
    stage.warm_up(contestant, images)
    headers = stage.headers(images, contestant)
    load = run_load([contestant.address(stage.project)], headers, clients=1, requests=3)
    return max(3, min(int(course.seconds / median(load.latencies)), MOST_REQUESTS))


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
    """Measure one contestant under one load; others may fetch another list meanwhile."""
    url = contestant.address(stage.project)
    own, _, others = images.partition(BESIDE)
    with ExitStack() as stack:
        if others:
            headers = stage.headers(others, contestant)
            stack.enter_context(endless_load(url, headers, clients=clients))
        pid = contestant.daemon.pid
        calls, switches, cpu = stage.glance.calls(), context_switches(pid), cpu_seconds(pid)
        headers = stage.headers(own, contestant)
        load = run_load([url], headers, clients=clients, requests=requests)
        cpu = cpu_seconds(pid) - cpu
        switches = context_switches(pid) - switches
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
        p99_ms=load.percentile_ms(0.99),
        switches=switches / requests,
        calls=calls / requests,
        resident_mib=resident_mib(pid),
    )
