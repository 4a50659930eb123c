"""`nova-image-shim usage`: the command, its progress and its errors."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nova_image_shim.usage.files import distinct, lines_of
from nova_image_shim.usage.lines import read
from nova_image_shim.usage.plot import PlotError, require_plot, save_plot
from nova_image_shim.usage.report import FORMATS, to_table
from nova_image_shim.usage.tally import FIELDS, Tally
from nova_image_shim.usage.unknown import UnknownLines

DESCRIPTION = """\
Report who still uses the API. For each client, version, project and user: the number of calls, by
kind, how many failed, the images listed, and the times of the first and last call.

A LOG is a log of the service, text or JSON, as the service, a container runtime, the journal or a
log shipper wrote it, optionally compressed with gzip, bzip2 or xz. Without a LOG, or with -,
standard input is read. Health checks are not counted.

Exit status: 0 ok, 1 the logs contain no call, 2 an error, or a log that could not be read or
understood completely: the report names it.
"""
_PROGRESS_SECONDS = 5.0
_LOOK_LINES = 20_000
_FOUND, _NOTHING, _FAILED = 0, 1, 2


class _Progress:
    """Reports on standard error how much has been read: every few seconds, and at the end."""

    def __init__(self, *, quiet: bool) -> None:
        self.lines = self.calls = self.unknown = 0
        self._quiet = quiet
        self._shown = time.monotonic()

    def show(self, name: str) -> None:
        """Report the progress, unless the last report was just now."""
        if not self._quiet and time.monotonic() - self._shown >= _PROGRESS_SECONDS:
            self._shown = time.monotonic()
            sys.stderr.write(f"{name}: {self.lines:,} lines so far, {self.calls:,} calls\n")

    def end(self) -> None:
        """Report the totals."""
        if not self._quiet:
            text = f"{self.lines:,} lines, {self.calls:,} calls"
            if self.unknown:
                text += f"; {self.unknown:,} lines could not be understood"
            sys.stderr.write(f"{text}\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "logs", nargs="*", metavar="LOG", default=["-"], help="a file (default: standard input)"
    )
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        default="table",
        help="table for people, csv or json for programs (default: table)",
    )
    parser.add_argument(
        "--by",
        type=_fields,
        default=FIELDS,
        metavar="FIELD,FIELD",
        help=f"group by these fields; default: {','.join(FIELDS)}",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw calls over time, FILE.png or FILE.html"
    )
    parser.add_argument("--quiet", action="store_true", help="report no progress on standard error")


def _fields(text: str) -> tuple[str, ...]:
    named = text.split(",")
    if not set(named) <= set(FIELDS):
        allowed = ",".join(FIELDS)
        raise argparse.ArgumentTypeError(f"must be one or more of {allowed}, not {text!r}")
    return tuple(name for name in FIELDS if name in named)


def run(given: argparse.Namespace) -> int:
    """Read the logs, write the report, and return the exit status."""
    progress = _Progress(quiet=given.quiet)
    tally = Tally(given.by)
    try:
        if given.plot:
            require_plot(given.plot)
        _read_logs(given.logs, tally, progress)
        sys.stdout.write(FORMATS[given.format](tally))
        sys.stdout.flush()
        if given.plot:
            save_plot(tally, given.plot, to_table(tally))
    except BrokenPipeError:  # `| head` has read enough
        sys.stdout = None  # otherwise its flush at exit fails as well
        return _FOUND
    except (OSError, PlotError) as error:
        _report_error(error)
        return _FAILED
    progress.end()
    if tally.incomplete:
        return _FAILED
    return _FOUND if tally.groups else _NOTHING


def _report_error(error: object) -> None:
    sys.stderr.write(f"nova-image-shim usage: {error}\n")


def _read_logs(logs: Sequence[str], tally: Tally, progress: _Progress) -> None:
    for log in distinct(logs):
        name = "standard input" if log == "-" else log
        unknown = UnknownLines()
        try:
            _read_log(log, tally, progress, unknown)
        except OSError as error:
            tally.incomplete.append(f"{name}: {error.strerror or error}")
            _report_error(tally.incomplete[-1])
        if unknown.number:
            progress.unknown += unknown.number
            tally.incomplete.append(f"{name}: {unknown}")


def _read_log(log: str, tally: Tally, progress: _Progress, unknown: UnknownLines) -> None:
    for line in lines_of(log):
        unknown.lines += 1
        progress.lines += 1
        if progress.lines % _LOOK_LINES == 0:
            progress.show(log)
        calls = read(line)
        if calls is None:
            unknown.add(line)
            continue
        for record in calls:
            if not record.call.startswith("health."):
                progress.calls += 1
                tally.add(record)
