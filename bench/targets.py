"""Performance targets and whether a run meets them: ratios within the run, not absolute times."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.cached import CODINGS
from bench.contestants import THREADS
from bench.figures import Figure, contestants, ratio, series, wait_ratio
from bench.slow import FLOOD_CLIENTS
from bench.stage import NON_ASCII
from bench.switch import SMALL_BESIDE_LARGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Found = Any
    Samples = list[dict[str, Any]]

FLOOR_RATIOS = {"25": 1.05, "100": 0.95, "1000": 0.9}
GROSS_RATIOS = {"25": 2.5, "1000": 2.0}  # relative to the floor; far above any noise
NOVA_RATIOS = {"25": 1 / 9, "100": 1 / 14, "1000": 1 / 18}
WAIT_RATIOS = {25: 1.10, 100: 1.10, 1000: 1.05, 10000: 1.05}
SHARING_RATIOS = {2: 4.0, 1: 8.0}  # answers of the real Glance by workers
CROWDS = [(images, clients) for images in FLOOR_RATIOS for clients in (8, 32)]
MOST_THREADS = THREADS + 48  # all counted
TAIL_RATIO = 1.1  # not worse, with a tenth for the noise of a 99th percentile
REST_OF_NOVA = 0.6
ANSWER_SIZES = 3


class Target(NamedTuple):
    """A target: the measured ratio and its bound."""

    text: str
    found: float
    bound: float
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Return whether the target is met."""
        return self.found >= self.bound if self.is_least else self.found <= self.bound


def targets(found: dict[str, Any]) -> Iterator[Target]:
    """Yield the targets of every part that the run has."""
    for part, of in _TARGETS.items():
        if found.get(part):
            yield from of(found[part])
    if "samples" in found and "memory" in found:
        yield from _memory_of_nova(found["memory"], found["samples"])


def _cpu(samples: Samples) -> Iterator[Target]:
    for other, bounds in (("floor", FLOOR_RATIOS), ("nova", NOVA_RATIOS)):
        for images, bound in bounds.items() if other in contestants(samples) else ():
            value = ratio(samples, "cpu_ms", "shim", other, (images, 1)).value
            name = other.replace("nova", "Nova").replace("floor", "the floor")
            yield Target(f"CPU relative to {name}, {images} images", value, bound)
    names, ascii_names = (NON_ASCII, 1), ("1000", 1)
    value = ratio(samples, "cpu_ms", "shim", "shim", names, other_load=ascii_names).value
    yield Target("CPU of non-ASCII names relative to ASCII names, 1000 images", value, 1.05)
    each = [median(series(samples, "cpu_ms", "shim", (n, 1))) / int(n) for n in ("1000", "10000")]
    yield Target("CPU per image at 10,000 relative to that at 1000", each[1] / each[0], 1.1)
    for load in CROWDS:
        value = ratio(samples, "per_second", "shim", "floor", load).value
        text = "requests per second relative to the floor, {} images, {} clients"
        yield Target(text.format(*load), value, 1.0, is_least=True)


def _slow(slow: Found) -> Iterator[Target]:
    pairs = zip(slow["shim"], slow["floor"], strict=True)
    value = median(shim / floor for shim, floor in pairs)
    text = "requests per second relative to the floor, Glance taking 100 ms, 64 clients"
    yield Target(text, value, 0.9, is_least=True)


def _logins(logins: Found) -> Iterator[Target]:
    value = median(logins["shim"]) / median(logins["keystone"])
    yield Target("wait for a login by v2.0 relative to one sent to Keystone v3", value, 1.15)


def _limited(limited: Found) -> Iterator[Target]:
    shared = limited["sharing"]
    where = "Glance serving two at a time in 0.3 s, 32 clients"
    speed, p50 = (median(one[field] for one in shared) for field in ("per_second", "p50_ms"))
    yield Target(f"shared responses per second, {where}", speed, 30, is_least=True)
    yield Target("their p50 in ms", p50, 1200)
    yield Target("refused requests among them", sum(one["refused"] for one in shared), 0)
    yield Target("stale responses among them", sum(one["stale"] for one in shared), 0)
    threads = max(one["threads"] for rounds in limited.values() for one in rounds)
    yield Target(f"threads of a process, {FLOOD_CLIENTS} clients", threads, MOST_THREADS)


def _polling(polled: Found) -> Iterator[Target]:
    for workers, bound in SHARING_RATIOS.items():
        shared, alone = (
            [one["per_second"] for one in polled if (one["way"], one["workers"]) == (way, workers)]
            for way in ("shared", "alone")
        )
        value = Figure.of([on / off for on, off in zip(shared, alone, strict=True)]).value
        text = (
            f"shared responses relative to others, the real Glance, 32 clients, {workers} workers"
        )
        yield Target(text, value, bound, is_least=True)


def _few_clients(samples: Samples) -> Iterator[Target]:
    for load in dict.fromkeys((one["images"], one["clients"]) for one in samples):
        value = ratio(samples, "p50_ms", "shared", "alone", load).value
        text = "response time with sharing relative to without, {} images, {} clients"
        yield Target(text.format(*load), value, 1.02)


def _cached(samples: Samples) -> Iterator[Target]:
    for coding in CODINGS:
        name = f"cached, {coding}"
        value = ratio(samples, "cpu_ms", name, name, ("1000", 1), other_load=("1", 1)).value
        text = f"CPU of a cached list of 1000 images relative to one of 1, {coding}"
        yield Target(text, value, 1.3)


def _mixed(samples: Samples) -> Iterator[Target]:
    if "before" in contestants(samples):
        value = ratio(samples, "p99_ms", "shim", "before", (SMALL_BESIDE_LARGE, 4)).value
        yield Target("p99 of 25 images beside 1000 relative to that before", value, TAIL_RATIO)


def _waits(samples: Samples) -> Iterator[Target]:
    for images, bound in WAIT_RATIOS.items():
        value = wait_ratio(samples, "shim", images).value
        yield Target(f"wait relative to the real Glance, {images} images", value, bound)


def _memory(memory: Found) -> Iterator[Target]:
    seconds = memory["start_to_first_answer_seconds"]
    yield Target("seconds from start to first response", seconds, 1.5)
    on_top = (memory["peak_after_1_mib"] - memory["at_rest_mib"]) / memory["answer_mib"]
    yield Target("additional memory relative to a response of 10,000 images", on_top, ANSWER_SIZES)
    growth = memory["peak_after_20_mib"] / memory["peak_after_2_mib"]
    yield Target("peak after twenty such responses relative to that after two", growth, 1.05)
    four = (memory["peak_of_4_at_once_mib"] - memory["at_rest_mib"]) / memory["answer_mib"] / 4
    yield Target("additional memory for each of four concurrent responses", four, ANSWER_SIZES)


def _memory_of_nova(memory: Found, samples: Samples) -> Iterator[Target]:
    if nova := series(samples, "resident_mib", "nova", ("25", 1)):
        value = memory["at_rest_mib"] / nova[0]
        yield Target("memory at rest relative to Nova's worker", value, REST_OF_NOVA)


_TARGETS: dict[str, Callable[[Any], Iterator[Target]]] = {
    "samples": _cpu,
    "limited": _limited,
    "polling": _polling,
    "few_clients": _few_clients,
    "cached": _cached,
    "mixed": _mixed,
    "against_glance": _waits,
    "slow": _slow,
    "logins": _logins,
    "memory": _memory,
}


def gross_losses(samples: Samples) -> list[str]:
    """Return a line for each list that takes far more CPU than on the floor."""
    lines = []
    for images, bound in GROSS_RATIOS.items():
        found = ratio(samples, "cpu_ms", "shim", "floor", (images, 1))
        print(f"{images} images: {found.text()} times the floor's CPU; the limit is {bound}")
        if found.value > bound:
            lines.append(f"{images} images cost {found.value:.2f} times the floor's CPU")
    return lines
