"""Performance targets and whether a run meets them: ratios within the run, not absolute times."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.figures import contestants, ratio, series, wait_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    Found = dict[str, Any]

FLOOR_RATIOS = {"25": 1.4, "100": 1.3, "1000": 1.2}
GROSS_RATIOS = {"25": 2.5, "1000": 2.0}  # relative to the floor; far above any noise
NOVA_RATIOS = {"25": 1 / 8, "100": 1 / 10, "1000": 1 / 10}
WAIT_RATIOS = {25: 1.10, 100: 1.10, 1000: 1.05, 10000: 1.05}
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


def targets(found: Found) -> Iterator[Target]:
    """Yield every target that the run has measured."""
    for images, bound in FLOOR_RATIOS.items():
        value = ratio(found, "cpu_ms", "shim", "floor", (images, 1)).value
        yield Target(f"CPU relative to the floor, {images} images", value, bound)
    if "nova" in contestants(found):
        for images, bound in NOVA_RATIOS.items():
            value = ratio(found, "cpu_ms", "shim", "nova", (images, 1)).value
            yield Target(f"CPU relative to Nova, {images} images", value, bound)
    yield from _waits(found)
    if slow := found.get("slow"):
        pairs = zip(slow["shim"], slow["floor"], strict=True)
        value = median(shim / floor for shim, floor in pairs)
        text = "requests per second relative to the floor, Glance taking 100 ms, 64 clients"
        yield Target(text, value, 0.9, is_least=True)
    if logins := found.get("logins"):
        value = median(logins["shim"]) / median(logins["keystone"])
        yield Target("wait for a login by v2.0 relative to one sent to Keystone v3", value, 1.15)
    yield from _memory(found)
    each = [median(series(found, "cpu_ms", "shim", (n, 1))) / int(n) for n in ("1000", "10000")]
    yield Target("CPU per image at 10,000 relative to that at 1000", each[1] / each[0], 1.1)
    seconds = found["memory"]["start_to_first_answer_seconds"]
    yield Target("seconds from start to first response", seconds, 1.5)


def _waits(found: Found) -> Iterator[Target]:
    for images, bound in WAIT_RATIOS.items():
        value = wait_ratio(found, "shim", images).value
        yield Target(f"wait relative to the real Glance, {images} images", value, bound)


def _memory(found: Found) -> Iterator[Target]:
    memory = found["memory"]
    if "nova" in contestants(found):
        nova = series(found, "resident_mib", "nova", ("25", 1))[0]
        value = memory["at_rest_mib"] / nova
        yield Target("memory at rest relative to Nova's worker", value, REST_OF_NOVA)
    on_top = (memory["peak_after_1_mib"] - memory["at_rest_mib"]) / memory["answer_mib"]
    yield Target("additional memory relative to a response of 10,000 images", on_top, ANSWER_SIZES)
    growth = memory["peak_after_20_mib"] / memory["peak_after_2_mib"]
    yield Target("peak after twenty such responses relative to that after two", growth, 1.05)
    four = (memory["peak_of_4_at_once_mib"] - memory["at_rest_mib"]) / memory["answer_mib"] / 4
    yield Target("additional memory for each of four concurrent responses", four, ANSWER_SIZES)


def gross_losses(samples: list[dict[str, Any]]) -> list[str]:
    """Return a line for each list that takes far more CPU than on the floor."""
    lines = []
    for images, bound in GROSS_RATIOS.items():
        found = ratio({"samples": samples}, "cpu_ms", "shim", "floor", (images, 1))
        print(f"{images} images: {found.text()} times the floor's CPU; the limit is {bound}")
        if found.value > bound:
            lines.append(f"{images} images cost {found.value:.2f} times the floor's CPU")
    return lines
