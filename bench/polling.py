"""Measure clients that poll one list of the real Glance, with and without the list cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import contestants
from bench.accounting import cpu_seconds
from bench.against_glance import fill_glance
from bench.load import run_load

if TYPE_CHECKING:
    from bench.stage import Stage

CLIENTS = 32
IMAGES = 1000
CACHE_SECONDS = 5
REQUESTS = {0: 2 * CLIENTS, CACHE_SECONDS: 60 * CLIENTS}

# Without the cache, this many clients wait a long time.
PATIENCE = {
    "SHIM_REQUEST_TIMEOUT": "600",
    "SHIM_GLANCE_READ_TIMEOUT": "600",
    "SHIM_THREADS": str(CLIENTS),
}


def run_polling(stage: Stage) -> dict[str, dict[str, float]]:
    """Return the results for clients and Glance, by the cache time in seconds."""
    token = fill_glance(stage, IMAGES)[1]
    return {str(seconds): _poll(stage, seconds, token) for seconds in REQUESTS}


def _poll(stage: Stage, seconds: int, token: dict[str, str]) -> dict[str, float]:
    settings = {"SHIM_CACHE_SECONDS": str(seconds), "SHIM_MEMCACHED_SERVERS": stage.cloud.memcached}
    shim = contestants.shim(stage.folder("shim"), stage.cloud, settings | PATIENCE)
    stage.start(shim)
    address, requests = [shim.address(stage.project)], REQUESTS[seconds]
    run_load(address, token, clients=1, requests=2)
    before, own = cpu_seconds(stage.cloud.glance_pid), cpu_seconds(shim.daemon.pid)
    load = run_load(address, token, clients=CLIENTS, requests=requests)
    glance = cpu_seconds(stage.cloud.glance_pid) - before
    own = cpu_seconds(shim.daemon.pid) - own
    shim.daemon.kill()
    return {
        "requests": requests,
        "per_second": load.per_second,
        "p50_ms": load.percentile_ms(0.5),
        "p95_ms": load.percentile_ms(0.95),
        "glance_cpu_ms": 1000 * glance / requests,
        "glance_cores": glance / load.seconds,
        "shim_cpu_ms": 1000 * own / requests,
    }
