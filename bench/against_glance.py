"""How much longer a client waits than it would for the real Glance itself."""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench import contestants
from bench.accounting import cpu_seconds
from bench.load import run_load
from bench.page_sets import make_page_set
from bench.stage import USER, WARM_UP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.stage import Stage

PAGE = 1000

# Every image has the properties of one of the static Glance's, so that the lists are alike.
PROPERTIES = {
    key: value
    for key, value in make_page_set("", 1).images[0].items()
    if key.startswith(("hw_", "os_")) and isinstance(value, str) and "hash" not in key
}


class GlanceSample(NamedTuple):
    """What one round with the real Glance gave: seconds for the same images."""

    images: int
    glance_p50_ms: float
    shim_p50_ms: float
    glance_cpu_ms: float
    shim_cpu_ms: float


def run_against_glance(
    stage: Stage, sizes: Sequence[int], rounds: int, seconds: float
) -> list[GlanceSample]:
    """Ask Glance and the service in turn for all images, by one client.

    Args:
        stage: is running.
        sizes: how many images there are.
        rounds: how often each is asked.
        seconds: about how long each is asked in one round.
    """
    shim = stage.start(contestants.shim(stage.folder("shim"), stage.cloud))
    samples = []
    for size in sizes:
        question = _question(stage, shim, size)
        once = sum(question.ask_glance(1))
        repeats = max(2, int(seconds / once))
        for _ in range(rounds):
            samples.append(_sample(stage, shim, question, repeats))
            print(".", end="", file=sys.stderr, flush=True)
        print(f" {size} images, the real Glance", file=sys.stderr, flush=True)
    shim.daemon.kill()
    return samples


class _Question(NamedTuple):
    """One list: the pages to ask Glance for, and the address to ask the service for."""

    size: int
    pages: list[str]
    address: list[str]
    token: dict[str, str]

    def ask_glance(self, times: int) -> list[float]:
        """Return the seconds that all pages took, one after another, each time."""
        count = len(self.pages)
        each = run_load(self.pages, self.token, clients=1, requests=times * count).latencies
        return [sum(each[start : start + count]) for start in range(0, len(each), count)]

    def ask_shim(self, times: int) -> list[float]:
        """Return the seconds that the list took each time."""
        return run_load(self.address, self.token, clients=1, requests=times).latencies


def _question(stage: Stage, shim: contestants.Contestant, size: int) -> _Question:
    """Fill Glance, and the caches of tokens."""
    ids, token = fill_glance(stage, size)
    pages = _pages(stage.cloud.glance_url, ids[::-1])
    question = _Question(size, pages, [shim.address(stage.project)], token)
    for _ in range(WARM_UP):
        question.ask_shim(1)
    return question


def fill_glance(stage: Stage, size: int) -> tuple[list[str], dict[str, str]]:
    """Have Glance hold so many images and no others; return ids, oldest first, and a token."""
    stage.cloud.purge_images()
    ids = stage.cloud.insert_images(USER, size, prefix="image", **PROPERTIES)
    return ids, {"X-Auth-Token": stage.cloud.token(USER)}


def _pages(glance_url: str, newest_first: Sequence[str]) -> list[str]:
    """Return the addresses of a list's pages, without the empty one after a full last one."""
    markers = ["", *(f"&marker={one}" for one in newest_first[PAGE - 1 : -1 : PAGE])]
    return [f"{glance_url}/v2/images?limit={PAGE}{marker}" for marker in markers]


def _sample(
    stage: Stage, shim: contestants.Contestant, question: _Question, repeats: int
) -> GlanceSample:
    glance_pid, shim_pid = stage.cloud.glance_pid, shim.daemon.pid
    before = cpu_seconds(glance_pid)
    direct = question.ask_glance(repeats)
    glance_cpu, before = cpu_seconds(glance_pid) - before, cpu_seconds(shim_pid)
    through = question.ask_shim(repeats)
    return GlanceSample(
        images=question.size,
        glance_p50_ms=1000 * median(direct),
        shim_p50_ms=1000 * median(through),
        glance_cpu_ms=1000 * glance_cpu / repeats,
        shim_cpu_ms=1000 * (cpu_seconds(shim_pid) - before) / repeats,
    )
