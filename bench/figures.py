"""Compute figures from samples: medians, spreads, and ratios within the same round."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Found = dict[str, Any]
    Load = tuple[str, int]  # the name of the list, and the number of clients


class Figure(NamedTuple):
    """A median and its noise: half the distance between the quartiles, in the same unit."""

    value: float
    noise: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Return the figure for values of several rounds."""
        if len(values) == 1:
            return cls(values[0], 0)
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), (high - low) / 2)

    def text(self) -> str:
        """Return value and noise with significant digits only."""
        digits = (
            0 if self.value >= 100 else 1 if self.value >= 10 else 2 if self.value >= 0.1 else 3
        )
        return f"{self.value:.{digits}f} ± {self.noise:.{digits}f}"


def series(found: Found, field: str, contestant: str, load: Load) -> list[float]:
    """Return one contestant's results under one load by round; empty if it did not run."""
    key = (contestant, *load)
    return [
        sample[field]
        for sample in found["samples"]
        if (sample["contestant"], sample["images"], sample["clients"]) == key
    ]


def ratio(found: Found, field: str, one: str, other: str, load: Load) -> Figure:
    """Return the ratio of one contestant's values to another's."""
    pairs = zip(
        series(found, field, one, load),
        series(found, field, other, load),
        strict=True,
    )
    return Figure.of([mine / theirs for mine, theirs in pairs])


def waits(found: Found, field: str, contestant: str, images: int) -> list[float]:
    """Return one contestant's results with the real Glance by round."""
    return [
        sample[field]
        for sample in found["against_glance"]
        if (sample["contestant"], sample["images"]) == (contestant, images)
    ]


def wait_ratio(found: Found, contestant: str, images: int) -> Figure:
    """Return the ratio of one contestant's response times to those of the real Glance."""
    own = waits(found, "p50_ms", "glance", images)
    pairs = zip(waits(found, "p50_ms", contestant, images), own, strict=True)
    return Figure.of([through / direct for through, direct in pairs])


def contestants(found: Found) -> list[str]:
    """Return the names of all contestants in the order of their first turn."""
    return list(dict.fromkeys(sample["contestant"] for sample in found["samples"]))


def loads(found: Found) -> list[Load]:
    """Return all loads, in the order in which they were measured."""
    return list(dict.fromkeys((one["images"], one["clients"]) for one in found["samples"]))
