"""Draw the plot for the report."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.figures import contestants, series

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZES = ("25", "100", "1000", "10000")
CLIENTS = (1, 8, 32)


def draw(samples: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw CPU time by images and requests per second by clients as SVG."""
    mpl.rcParams["svg.hashsalt"] = "bench"  # makes the file depend only on the results
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in contestants(samples):
        by_size = {int(images): series(samples, "cpu_ms", name, (images, 1)) for images in SIZES}
        by_clients = {one: series(samples, "per_second", name, ("100", one)) for one in CLIENTS}
        _line(left, name, by_size)
        _line(right, name, by_clients)
    left.set(xscale="log", yscale="log", xlabel="images", ylabel="CPU ms a request, one client")
    right.set(xscale="log", yscale="log", xlabel="clients", ylabel="requests/s, 100 images")
    right.set_xticks(CLIENTS, labels=[str(clients) for clients in CLIENTS])
    left.legend()
    for axes in (left, right):
        axes.grid(visible=True, which="major", alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _line(axes: Any, name: str, values: dict[int, list[float]]) -> None:
    points = {x: median(found) for x, found in values.items() if found}
    axes.plot(list(points), list(points.values()), marker="o", label=name)
