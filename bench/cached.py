"""Measure cached lists, plain and compressed, beside nginx that serves the same bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.contestants import Contestant
from bench.measure import measure
from bench.stage import start_contestants
from bench.static_glance import serving_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Sample
    from bench.stage import Stage

CODINGS = ("identity", "gzip")
LISTS = ("1", "1000")
REQUESTS = 600


def run_cached(stage: Stage, rounds: int) -> list[Sample]:
    """Measure lists of one image and of 1000, with one client."""
    every = [(images, one) for images in LISTS for one in _started(stage, images)]
    for images, one in every:
        stage.warm_up(one, images)
        measure(stage, one, images, 1, REQUESTS)
    samples = [
        measure(stage, one, images, 1, REQUESTS) for _ in range(rounds) for images, one in every
    ]
    for _, one in every:
        one.daemon.kill()
    return samples


def _started(stage: Stage, images: str) -> Iterator[Contestant]:
    """Start a shim and nginx for one list: the static Glance's lists would have one cache key."""
    (shim,) = start_contestants(stage, ("cached",))
    for coding in CODINGS:
        cached = replace(shim, name=f"cached, {coding}", headers={"Accept-Encoding": coding})
        yield cached
        daemon, url = serving_nginx(stage.folder("nginx"), stage.body(cached, images))
        yield stage.start(Contestant(f"nginx, {coding}", url, daemon, headers=cached.headers))
