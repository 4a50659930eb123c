"""`nova-image-shim check`: the command and the order of its steps."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path

from nova_image_shim.check.findings import Finding, Level, ok
from nova_image_shim.check.limits import limit_findings
from nova_image_shim.check.local import local_findings
from nova_image_shim.settings import Problem, Settings, SettingsError

DESCRIPTION = """\
Check that the settings and the cloud fit together, and suggest a fix for each problem. The
settings are those of `serve`. Nothing is changed.

The check runs the service's own code: it builds the application, logs in as the service user,
validates its token, finds Glance in the catalog, and lists one image. It compares clocks, and
checks links, memcached, identity v2.0 and the limits of this process. It stops at the first error,
because later steps would fail for the same reason. Afterwards, `nova-image-shim compare` shows
whether the service answers as Nova does.

Exit status: 0 ok, 1 warnings, 2 an error.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="also validate the client's token in FILE; /dev/stdin reads standard input",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of findings")


def run(given: argparse.Namespace) -> int:
    """Print the findings and return the highest level."""
    logging.lastResort = logging.NullHandler()  # keep all messages out of the findings
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # servers write in any language
    highest = Level.OK
    found: list[dict[str, str]] = []
    for finding in findings(os.environ, given.token_file):
        highest = max(highest, finding.level)
        if given.json:
            found.append(finding._asdict() | {"level": finding.level.name.lower()})
        else:
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()  # the next step may take a while
    if given.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return int(highest)


def findings(environ: Mapping[str, str], token_file: Path | None = None) -> Iterator[Finding]:
    """Yield the findings, step by step, up to the first error; a token file has a client's."""
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        yield from map(_setting_finding, error.problems)
        yield from map(ok, error.notes)
        return
    yield from map(_setting_finding, settings.unknown)
    if not settings.unknown:
        yield ok("The settings are valid.")
    yield from map(ok, settings.notes)
    yield from local_findings(settings)
    yield from limit_findings(settings, environ)
    from nova_image_shim.check.cloud import backend_findings  # noqa: PLC0415 - takes long

    yield from backend_findings(settings, token_file)


def _setting_finding(problem: Problem) -> Finding:
    where = problem.origin or "the environment"
    fix = f"Correct it in {where}; docs/reference/settings.md describes them all."
    hint = f" {problem.hint}." if problem.hint else ""
    return Finding(Level.ERROR, f"{problem.text}.", f"{fix}{hint}")
