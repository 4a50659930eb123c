"""`nova-image-shim compare`: the command and its arguments."""

import argparse
from collections.abc import Callable
from pathlib import Path

DESCRIPTION = """\
Compare the answers of the cloud's own Nova with those of this service, before clients are sent to
it.

It sends the same GET and HEAD requests to both, with one token, and changes nothing: the version
documents, both lists with every filter, limit, marker and page, every image with its metadata, and
what does not exist. The values are those of the project's images. An intended difference
(docs/reference/differences.md) is counted by its reason; any other one is unexpected if it is still
there when the request is sent again.

The login is OS_* or OS_CLOUD, of any user of the project, or --token-file. Ctrl-C prints what is
known so far.

Exit status: 0 no unexpected difference, 1 unexpected differences, 2 it could not be carried out.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    form = "http://HOST:8774/v2/%%(tenant_id)s, or with a project's id at its end"
    add("--nova", required=True, metavar="URL", help=f"Nova's address: {form}")
    add("--shim", required=True, metavar="URL", help="this service's address, of the same form")
    add("--token-file", type=Path, metavar="FILE", help="send the token in FILE; do not log in")
    add("--images", type=_number(1, 10**6), metavar="N", help="show only a sample of the images")
    logs = "also send what clients sent, by logs of this service, nova-api, nginx or HAProxy"
    add("--from-log", nargs="+", default=[], metavar="LOG", help=logs)
    rate, most, seconds = _number(0.1, 1000), _number(1, 10**6), _number(0.1, 3600)
    add("--rate", type=rate, default=5, metavar="N", help="requests a second to each (default: 5)")
    add("--requests", type=most, default=10_000, metavar="N", help="at most (default: 10000)")
    add("--timeout", type=seconds, default=60, metavar="SECONDS", help="for one (default: 60)")
    formats = "table for people, json for programs (default: table)"
    add("--format", choices=("table", "json"), default="table", help=formats)
    add("--html", type=Path, metavar="FILE", help="write a page with both answers side by side")
    add("--no-bodies", action="store_true", help="leave bodies and their values out of the reports")


def _number(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        found = int(text) if isinstance(least, int) else float(text)
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}, not {text}")
        return found

    return number


def run(given: argparse.Namespace) -> int:
    """Compare, write the reports, and return the exit status."""
    from nova_image_shim.compare.runner import run_comparison  # noqa: PLC0415 - takes long

    return run_comparison(given)
