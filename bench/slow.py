"""Measure many clients with a slow Glance, where the service mostly waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import contestants
from bench.load import run_load

if TYPE_CHECKING:
    from bench.stage import Stage

CLIENTS = 64
THREADS = 40
LIST = "25"


def run_slow(stage: Stage, rounds: int, requests: int) -> dict[str, list[float]]:
    """Return requests per second of shim and floor with 64 clients, by round."""
    url = stage.glance.slow_url
    both = [
        contestants.shim(
            stage.folder("shim"),
            stage.cloud,
            {"SHIM_GLANCE_ENDPOINT": url, "SHIM_THREADS": str(THREADS)},
        ),
        contestants.wsgi_app(stage.folder("floor"), "floor", url, threads=THREADS),
    ]
    for one in both:
        stage.start(one)
        stage.warm_up(one, LIST)
    found: dict[str, list[float]] = {one.name: [] for one in both}
    for _ in range(rounds):
        for one in both:
            address, headers = [one.address(stage.project)], stage.headers(LIST)
            load = run_load(address, headers, clients=CLIENTS, requests=requests)
            found[one.name].append(load.per_second)
    for one in both:
        one.daemon.kill()
    return found
