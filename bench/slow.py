"""Measure many clients with a slow Glance, where the service mostly waits.

With one that serves few requests at once, the clients' responses also show when Glance was asked.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3
from real import services
from real.processes import Daemon, free_ports, listens

from bench import contestants
from bench.accounting import most_threads
from bench.load import endless_load, run_load
from bench.page_sets import make_page_set
from bench.slow_glance import MARK

if TYPE_CHECKING:
    from bench.contestants import Contestant
    from bench.stage import Stage

LIST = "25"
UNLIMITED = 1000
CLIENTS = 64
THREADS = 40
REQUESTS = 1500

POLLING_CLIENTS = 32
LEAD_SECONDS = 2.0
POLLING_SECONDS = 6.0
FLOOD_CLIENTS = 256  # more than can be served
FLOOD_SECONDS = 3


class Answer(NamedTuple):
    """A response to one of the polling clients."""

    status: int
    ended: float
    seconds: float
    is_stale: bool


def run_slow(stage: Stage, rounds: int) -> dict[str, list[float]]:
    """Return requests per second of shim and floor by round, a call of Glance taking 0.1 s."""
    url = _start_glance(stage, seconds=0.1, at_once=UNLIMITED)
    given = {"SHIM_GLANCE_ENDPOINT": url, "SHIM_THREADS": str(THREADS)}
    both = [
        contestants.shim(stage.folder("shim"), stage.cloud, given),
        contestants.wsgi_app(stage.folder("floor"), "floor", url, threads=THREADS),
    ]
    _start(stage, both)
    found: dict[str, list[float]] = {one.name: [] for one in both}
    for _ in range(rounds):
        for one in both:
            address, headers = [one.address(stage.project)], stage.headers(LIST)
            load = run_load(address, headers, clients=CLIENTS, requests=REQUESTS)
            found[one.name].append(load.per_second)
    for one in both:
        one.daemon.kill()
    return found


def run_limited(stage: Stage, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Return what polling clients get by round, sharing off and on.

    Glance serves two requests at once in 0.3 s each.
    """
    url = _start_glance(stage, seconds=0.3, at_once=2)
    both = [
        contestants.shim(
            stage.folder("shim"),
            stage.cloud,
            {"SHIM_GLANCE_ENDPOINT": url, "SHIM_SHARED_LISTS": fetches},
            name=name,
        )
        for name, fetches in (("shim", "0"), ("sharing", "2"))
    ]
    _start(stage, both)
    found: dict[str, list[dict[str, float]]] = {one.name: [] for one in both}
    for _ in range(rounds):
        for one in both:
            found[one.name].append(_poll(one.address(stage.project), stage.headers(LIST)))
    for one in both:
        threads = _flood(stage, one)
        found[one.name] = [{**polled, "threads": threads} for polled in found[one.name]]
        one.daemon.kill()
    return found


def _start_glance(stage: Stage, *, seconds: float, at_once: int) -> str:
    """Start a slow Glance and return its URL; it ends with the stage."""
    folder = stage.folder("slow-glance")
    page_set = make_page_set(LIST, int(LIST))
    page_set.images[0]["name"] = MARK.decode()
    ((_, body),) = page_set.pages(1000)
    (folder / "page.json").write_bytes(body)
    (port,) = free_ports(1)
    given = (str(port), str(seconds), str(at_once), str(folder / "page.json"))
    daemon = Daemon(
        [sys.executable, "-m", "bench.slow_glance", *given],
        folder,
        lambda: listens(port),
        {"PYTHONPATH": str(contestants.ROOT)},
    )
    url = f"http://{services.HOST}:{port}"
    stage.start(contestants.Contestant("slow Glance", url, daemon))
    return url


def _start(stage: Stage, both: list[Contestant]) -> None:
    for one in both:
        stage.start(one)
        stage.warm_up(one, LIST)


def _flood(stage: Stage, one: Contestant) -> int:
    """Return how many threads a process has while far too many clients send requests."""
    url, headers = one.address(stage.project), stage.headers(LIST)
    with endless_load(url, headers, clients=FLOOD_CLIENTS):
        time.sleep(FLOOD_SECONDS)
        return most_threads(one.daemon.pid)


def _poll(url: str, headers: dict[str, str]) -> dict[str, float]:
    """Run the clients for a while and return what they got after a lead time."""
    begin = time.monotonic() + LEAD_SECONDS
    end = begin + POLLING_SECONDS
    with ThreadPoolExecutor(POLLING_CLIENTS) as clients:
        each = [clients.submit(_ask_until, end, url, headers) for _ in range(POLLING_CLIENTS)]
    answers = [one for client in each for one in client.result() if begin < one.ended <= end]
    good = [one for one in answers if one.status == 200]
    waited = [1000 * one.seconds for one in good]
    return {
        "per_second": len(good) / POLLING_SECONDS,
        "p50_ms": median(waited) if waited else float("inf"),
        "longest_ms": max(waited, default=float("inf")),
        "refused": len(answers) - len(good),
        "stale": sum(one.is_stale for one in good),
    }


def _ask_until(end: float, url: str, headers: dict[str, str]) -> list[Answer]:
    """Send requests one by one, a refused one again after a second, as the service asks."""
    answers = []
    with urllib3.PoolManager(retries=False) as http:
        while (began := time.monotonic()) < end:
            found = http.request("GET", url, headers=headers)
            ended = time.monotonic()
            is_good = found.status == 200
            is_stale = is_good and _asked_at(json.loads(found.data)) < began
            answers.append(Answer(found.status, ended, ended - began, is_stale))
            if not is_good:
                time.sleep(1)
    return answers


def _asked_at(listed: Any) -> float:
    """Return when Glance was asked for a list, from its first image's name."""
    return float(listed["images"][0]["name"])
