"""Measure how much longer a client waits than for the real Glance itself."""

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

    from bench.contestants import Contestant
    from bench.stage import Stage

PAGE = 1000

# Every image has the properties of an image in the static Glance, so that the lists are similar.
PROPERTIES = {
    key: value
    for key, value in make_page_set("", 1).images[0].items()
    if key.startswith(("hw_", "os_")) and isinstance(value, str) and "hash" not in key
}


class GlanceSample(NamedTuple):
    """One contestant's result in one round with the real Glance."""

    contestant: str
    images: int
    p50_ms: float
    cpu_ms: float


def run_against_glance(
    stage: Stage, sizes: Sequence[int], rounds: int, seconds: float
) -> list[GlanceSample]:
    """List all images with one client, from Glance, service, floor and urllib3 alone in turn.

    Args:
        stage: a running stage.
        sizes: the numbers of images.
        rounds: the number of rounds.
        seconds: the approximate time for each contestant in a round.
    """
    shim = stage.start(contestants.shim(stage.folder("shim"), stage.cloud, {}))
    url = stage.cloud.glance_url
    bare = ("floor", "alone")
    others = [
        shim,
        *(stage.start(contestants.wsgi_app(stage.folder(name), name, url)) for name in bare),
    ]
    token = {"X-Auth-Token": stage.cloud.token(USER)}
    _warm_up(stage, others, token)
    samples = []
    for size in sizes:
        questions = _questions(stage, others, size, token)
        once = sum(questions[0].ask(1))
        repeats = max(2, int(seconds / once))
        for number in range(rounds):
            turn = number % len(questions)  # Glance's speed changes during the turns of the others
            order = (*questions[turn:], *questions[:turn])
            samples += [_sample(question, size, repeats) for question in order]
            print(".", end="", file=sys.stderr, flush=True)
        print(f" {size} images, the real Glance", file=sys.stderr, flush=True)
    for one in others:
        one.daemon.kill()
    return samples


class _Question(NamedTuple):
    """A list from one contestant, by the URLs of its pages."""

    contestant: str
    pid: int
    addresses: list[str]
    token: dict[str, str]

    def ask(self, times: int) -> list[float]:
        """Request the whole list repeatedly and return the seconds of each time."""
        count = len(self.addresses)
        each = run_load(self.addresses, self.token, clients=1, requests=times * count).latencies
        return [sum(each[start : start + count]) for start in range(0, len(each), count)]


def _warm_up(stage: Stage, others: Sequence[Contestant], token: dict[str, str]) -> None:
    """Make each worker validate the token, with an empty Glance."""
    fill_glance(stage, 0)
    for one in others:
        for _ in range(WARM_UP):
            run_load([one.address(stage.project)], token, clients=1, requests=1)


def _questions(
    stage: Stage, others: Sequence[Contestant], size: int, token: dict[str, str]
) -> list[_Question]:
    """Fill Glance and return each contestant's list; Glance itself comes first."""
    ids, _ = fill_glance(stage, size)
    pages = _pages(stage.cloud.glance_url, ids[::-1])
    return [
        _Question("glance", stage.cloud.glance_pid, pages, token),
        *(
            _Question(one.name, one.daemon.pid, [one.address(stage.project)], token)
            for one in others
        ),
    ]


def fill_glance(stage: Stage, size: int) -> tuple[list[str], dict[str, str]]:
    """Fill Glance with exactly `size` images; return ids, oldest first, and a token."""
    stage.cloud.purge_images()
    ids = stage.cloud.insert_images(USER, size, prefix="image", **PROPERTIES)
    return ids, {"X-Auth-Token": stage.cloud.token(USER)}


def _pages(glance_url: str, newest_first: Sequence[str]) -> list[str]:
    """Return the URLs of a list's pages, without an empty page after a full last page."""
    markers = ["", *(f"&marker={one}" for one in newest_first[PAGE - 1 : -1 : PAGE])]
    return [f"{glance_url}/v2/images?limit={PAGE}{marker}" for marker in markers]


def _sample(question: _Question, size: int, repeats: int) -> GlanceSample:
    before = cpu_seconds(question.pid)
    seconds = question.ask(repeats)
    cpu = cpu_seconds(question.pid) - before
    p50_ms, cpu_ms = 1000 * median(seconds), 1000 * cpu / repeats
    return GlanceSample(question.contestant, size, p50_ms, cpu_ms)
