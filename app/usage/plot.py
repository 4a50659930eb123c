"""A tally as a chart of calls over time, by client. Needs matplotlib, the extra `plot`."""

import html
import io
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nova_image_shim.usage.tally import Tally

_TITLE = "Calls of the legacy image API, by client"
_HOURS_SHOWN = 72  # beyond three days a bar is a day
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<body style="font-family: sans-serif">
{svg}
<pre>{table}</pre>
"""


class PlotError(Exception):
    """The chart cannot be made; the text says why and what to do."""


def require_plot(path: Path) -> None:
    """Check early that a chart can be made.

    Raises:
        PlotError: the file has another suffix, or matplotlib is not installed.
    """
    if path.suffix not in {".png", ".html"}:
        raise PlotError(f"--plot {path}: the file name must end with .png or .html")
    try:
        import matplotlib  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise PlotError("--plot needs matplotlib: pip install 'nova-image-shim[plot]'") from error


def save_plot(tally: Tally, path: Path, table: str) -> None:
    """Write the chart to a `.png`, or to an `.html` page with the table below it.

    Raises:
        OSError: the file cannot be written.
    """
    figure = _figure(tally)
    if path.suffix == ".png":
        figure.savefig(path, dpi=120)
        return
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    picture = svg.getvalue().partition("?>")[2].partition(">")[2]  # without the XML prologue
    page = _PAGE.format(title=_TITLE, svg=picture, table=html.escape(table))
    path.write_text(page, encoding="utf-8")


def _figure(tally: Tally) -> Any:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415 - no pyplot: no window, no global state

    series, times, days = _series(tally)
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes: Any = figure.add_subplot()  # its types do not allow times
    below = [0] * len(times)
    for client, numbers in series.items():
        axes.bar(times, numbers, width=0.9 * days, bottom=below, label=client, align="edge")
        below = [low + number for low, number in zip(below, numbers, strict=True)]
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_ylabel("calls per day" if days == 1 else "calls per hour")
    axes.set_title(_TITLE + (" (incomplete)" if tally.incomplete else ""))
    if series:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _series(tally: Tally) -> tuple[dict[str, list[int]], list[datetime], float]:
    """Return each client's numbers, busiest first, their times, and a bar's width in days."""
    by_day = len({hour for hour, _ in tally.hours}) > _HOURS_SHOWN
    length, form, width = (10, "%Y-%m-%d", 1.0) if by_day else (13, "%Y-%m-%d %H", 1 / 24)
    calls: dict[str, Counter[str]] = defaultdict(Counter)
    for (hour, client), number in tally.hours.items():
        calls[client][hour[:length]] += number
    times = sorted({time for numbers in calls.values() for time in numbers})
    busiest = sorted(calls, key=lambda client: -calls[client].total())
    series = {client: [calls[client][time] for time in times] for client in busiest}
    return series, [datetime.strptime(time, form).replace(tzinfo=UTC) for time in times], width
