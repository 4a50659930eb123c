"""Measure what the interpreter's switch interval does to many clients' requests.

A thread that gives up the interpreter's lock, for each read of a socket, gets it back only when
another one's turn ends: after this interval, unless that one waits for something before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import contestants
from bench.measure import BESIDE, Course, run_course

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contestants import Contestant
    from bench.measure import Sample
    from bench.stage import Stage

INTERVALS = (0.0005, 0.005, 0.01, 0.02, 0.05)
CONF = "import sys\nsys.setswitchinterval({})\n"
SMALL_BESIDE_LARGE = f"25{BESIDE}1000"
LOADS = {"25": (8,), "100": (8,), "1000": (8,), SMALL_BESIDE_LARGE: (4,)}


def run_switch(stage: Stage, course: Course) -> list[Sample]:
    """Measure the shim and the floor with each interval."""
    every = [stage.start(one) for one in _prepared(stage)]
    samples = run_course(stage, every, course._replace(clients=LOADS))
    for one in every:
        one.daemon.kill()
    return samples


def _prepared(stage: Stage) -> Iterator[Contestant]:
    url = stage.glance.url
    for seconds in INTERVALS:
        conf = CONF.format(seconds)
        given = {"SHIM_GLANCE_ENDPOINT": url}
        yield contestants.shim(
            stage.folder("shim"), stage.cloud, given, name=f"shim {seconds}", conf=conf
        )
        yield contestants.wsgi_app(
            stage.folder("floor"), "floor", url, name=f"floor {seconds}", conf=conf
        )
