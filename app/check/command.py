"""`nova-image-shim check`: the command and the order of its steps."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nova_image_shim.check.catalog import link_findings
from nova_image_shim.check.findings import Fault, Finding, Level, fine
from nova_image_shim.check.glance import find_glance, list_one_image
from nova_image_shim.check.keystone import (
    log_in,
    reach_keystone,
    require_validating_role,
    validate,
)
from nova_image_shim.check.local import local_findings
from nova_image_shim.check.wire import open_session, plugin_of
from nova_image_shim.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nova_image_shim.settings import Problem

_DESCRIPTION = """\
See whether the settings and the cloud behind them fit together, and say for each fault what to
mend. The settings are those of `serve`. Nothing is changed anywhere.

It reaches Keystone, gets a token as the service user, has it validated, finds Glance in the
catalog, lists one image, compares clocks, and looks at links, memcached and limits. It stops at
the first error, since what comes after it would fail for the same reason.

Exit status: 0 all is fine, 1 there are warnings, 2 there is an error.
"""


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    parser = commands.add_parser(
        "check",
        help="see whether settings and cloud fit together",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a client's token, to be validated too; FILE is /dev/stdin for standard input",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of findings")
    parser.set_defaults(run=check)


def check(given: argparse.Namespace) -> int:
    """Print what is found and return the gravest level."""
    logging.lastResort = None  # the libraries' own words would stand between the findings
    gravest = Level.FINE
    found: list[dict[str, str]] = []
    for finding in findings(os.environ, given.token_file):
        gravest = max(gravest, finding.level)
        if given.json:
            found.append(finding._asdict() | {"level": finding.level.name.lower()})
        else:
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()  # the next step may take its time
    if given.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return int(gravest)


def findings(environ: Mapping[str, str], token_file: Path | None = None) -> Iterator[Finding]:
    """Yield what is found, step by step, up to the first error.

    Args:
        environ: the settings.
        token_file: where a client's token is, to be validated too.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        yield from map(_setting_finding, error.problems)
        return
    yield fine("The settings are good.")
    for note in settings.notes:
        yield fine(note)
    yield from local_findings(settings, environ)
    if settings.backend == "memory":
        yield fine("The embedded store needs nothing else (SHIM_BACKEND=memory).")
        return
    try:
        yield from _cloud_findings(settings, token_file)
    except Fault as fault:
        yield fault.finding


def _setting_finding(problem: Problem) -> Finding:
    where = problem.origin or "the environment"
    mend = f"Fix it in {where}; README.md has the table of settings."
    hint = f" {problem.hint}." if problem.hint else ""
    return Finding(Level.ERROR, f"{problem.text}.", f"{mend}{hint}")


def _cloud_findings(settings: Settings, token_file: Path | None) -> Iterator[Finding]:
    session, plugin = open_session(settings), plugin_of(settings)
    yield from reach_keystone(session, settings)
    token = log_in(session, settings, plugin)
    yield fine("The service user can log in.")
    own = str(token.auth_token)
    yield validate(session, settings, plugin, own, "the service user's own token")
    if token_file:
        clients = _token_in(token_file)
        yield validate(session, settings, plugin, clients, "the client's token")
    else:
        yield require_validating_role(settings, token)
    if settings.service_user:
        other = replace(settings, keystone=settings.service_user)
        log_in(session, other, plugin_of(other))
        yield fine("The user of [service_user] can log in.")
    glance = find_glance(session, settings, plugin)
    yield from link_findings(settings, token, glance)
    yield from list_one_image(session, settings, plugin, glance)


def _token_in(file: Path) -> str:
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"--token-file {file}: {error}.", "Give a file with a token.") from error
    if not token.isprintable() or not token or " " in token:
        raise Fault(f"--token-file {file}: it holds no token.", "Give a file with a token.")
    return token
