"""Measure a worker's memory, at rest and while it lists 10,000 images, and its start-up time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench import contestants
from bench.accounting import peak_mib, reset_peaks, resident_mib
from bench.load import run_load

if TYPE_CHECKING:
    from bench.stage import Stage

LIST = "10000"
MANY = 20
AT_ONCE = 4


def run_memory(stage: Stage) -> dict[str, float]:
    """Return the single worker's memory in MiB, and the seconds from start to first response."""
    settings = {"SHIM_GLANCE_ENDPOINT": stage.glance.url, "WEB_CONCURRENCY": "1"}
    shim = contestants.shim(stage.folder("shim"), stage.cloud, settings)
    started = time.monotonic()
    stage.start(shim)
    stage.size(shim, "25")
    found = {"start_to_first_answer_seconds": time.monotonic() - started}
    stage.warm_up(shim, "25")
    pid = shim.daemon.pid
    found["at_rest_mib"] = resident_mib(pid)
    reset_peaks(pid)
    found["answer_mib"] = stage.size(shim, LIST) / 2**20
    found["peak_after_1_mib"] = peak_mib(pid)
    _ask(stage, shim, requests=1)
    found["peak_after_2_mib"] = peak_mib(pid)
    _ask(stage, shim, requests=MANY - 2)
    found[f"peak_after_{MANY}_mib"] = peak_mib(pid)
    reset_peaks(pid)
    _ask(stage, shim, requests=AT_ONCE, clients=AT_ONCE)
    found[f"peak_of_{AT_ONCE}_at_once_mib"] = peak_mib(pid)
    shim.daemon.kill()
    return found


def _ask(stage: Stage, shim: contestants.Contestant, requests: int, clients: int = 1) -> None:
    address, headers = [shim.address(stage.project)], stage.headers(LIST)
    run_load(address, headers, clients=clients, requests=requests)
