"""Compute figures from samples: medians, spreads, and ratios within the same round."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Samples = Sequence[dict[str, Any]]
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


def series(samples: Samples, field: str, contestant: str, load: Load) -> list[float]:
    """Return one contestant's results under one load by round; empty if it did not run."""
    key = (contestant, *load)
    return [
        sample[field]
        for sample in samples
        if (sample["contestant"], sample["images"], sample["clients"]) == key
    ]


def ratio(
    samples: Samples,
    field: str,
    one: str,
    other: str,
    load: Load,
    *,
    other_load: Load | None = None,
) -> Figure:
    """Return the ratio of one contestant's values to another's, or to those of another load."""
    pairs = zip(
        series(samples, field, one, load),
        series(samples, field, other, other_load or load),
        strict=True,
    )
    return Figure.of([mine / theirs for mine, theirs in pairs])


def waits(samples: Samples, field: str, contestant: str, images: int) -> list[float]:
    """Return one contestant's results with the real Glance by round."""
    return [
        sample[field]
        for sample in samples
        if (sample["contestant"], sample["images"]) == (contestant, images)
    ]


def wait_ratio(samples: Samples, contestant: str, images: int) -> Figure:
    """Return the ratio of one contestant's response times to those of the real Glance."""
    own = waits(samples, "p50_ms", "glance", images)
    pairs = zip(waits(samples, "p50_ms", contestant, images), own, strict=True)
    return Figure.of([through / direct for through, direct in pairs])


def contestants(samples: Samples, load: Load | None = None) -> list[str]:
    """Return the names of all contestants, or of those under one load, in their first order."""
    return list(
        dict.fromkeys(
            one["contestant"]
            for one in samples
            if load is None or (one["images"], one["clients"]) == load
        )
    )


def loads(samples: Samples) -> list[Load]:
    """Return all loads, in the order in which they were measured."""
    return list(dict.fromkeys((one["images"], one["clients"]) for one in samples))
