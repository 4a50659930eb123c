"""Measure clients that poll one list: each request on its own, shared, and cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import contestants
from bench.accounting import cpu_seconds
from bench.against_glance import fill_glance
from bench.load import run_load
from bench.measure import Course, run_course

if TYPE_CHECKING:
    from bench.contestants import Contestant
    from bench.measure import Sample
    from bench.stage import Stage

CLIENTS = 32
IMAGES = 1000

# The setting and the number of rounds of requests of all clients, by the way of answering.
WAYS = {
    "alone": ({"SHIM_SHARED_LISTS": "0"}, 1),
    "shared": ({"SHIM_SHARED_LISTS": "2"}, 8),
    "cached": ({"SHIM_SHARED_LISTS": "0", "SHIM_CACHE_SECONDS": "5"}, 60),
}

# Without sharing, this many clients wait a long time.
PATIENCE = {
    "SHIM_REQUEST_TIMEOUT": "600",
    "SHIM_GLANCE_READ_TIMEOUT": "600",
    "SHIM_THREADS": str(CLIENTS),
}
FEW_CLIENTS = Course({"25": (1, 2), "1000": (1, 2)}, rounds=25, seconds=0.25)


def run_few_clients(stage: Stage) -> list[Sample]:
    """Measure one and two clients, with sharing off and on, in many short rounds.

    With two processes, it would depend on chance whether two clients share one.
    """
    given = {"SHIM_GLANCE_ENDPOINT": stage.glance.url, "WEB_CONCURRENCY": "1"}
    both = [
        stage.start(
            contestants.shim(stage.folder("shim"), stage.cloud, {**given, **WAYS[way][0]}, name=way)
        )
        for way in ("alone", "shared")
    ]
    samples = run_course(stage, both, FEW_CLIENTS)
    for one in both:
        one.daemon.kill()
    return samples


def run_polling(stage: Stage, rounds: int) -> list[dict[str, float | str]]:
    """Measure 32 clients that poll the real Glance, by the way of answering and the workers."""
    token = fill_glance(stage, IMAGES)[1]
    found = []
    for workers in (2, 1):
        every = {way: _start(stage, workers, WAYS[way][0], token) for way in WAYS}
        for _ in range(rounds):
            for way, shim in every.items():
                polled = _poll(stage, shim, token, requests=CLIENTS * WAYS[way][1])
                found.append({"way": way, "workers": workers, **polled})
        for shim in every.values():
            shim.daemon.kill()
    return found


def _start(
    stage: Stage, workers: int, settings: dict[str, str], token: dict[str, str]
) -> Contestant:
    given = {
        "WEB_CONCURRENCY": str(workers),
        "SHIM_MEMCACHED_SERVERS": stage.cloud.memcached,
        **PATIENCE,
        **settings,
    }
    shim = stage.start(contestants.shim(stage.folder("shim"), stage.cloud, given))
    run_load([shim.address(stage.project)], token, clients=1, requests=2)
    return shim


def _poll(
    stage: Stage, shim: Contestant, token: dict[str, str], requests: int
) -> dict[str, float | str]:
    before, own = cpu_seconds(stage.cloud.glance_pid), cpu_seconds(shim.daemon.pid)
    load = run_load([shim.address(stage.project)], token, clients=CLIENTS, requests=requests)
    glance = cpu_seconds(stage.cloud.glance_pid) - before
    own = cpu_seconds(shim.daemon.pid) - own
    return {
        "per_second": load.per_second,
        "p50_ms": load.percentile_ms(0.5),
        "p95_ms": load.percentile_ms(0.95),
        "glance_cpu_ms": 1000 * glance / requests,
        "glance_cores": glance / load.seconds,
        "shim_cpu_ms": 1000 * own / requests,
    }
