"""`nova-image-shim check`: the command and the order of its steps."""

import argparse
import codecs
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from nova_image_shim.auth.keystone import open_keystone
from nova_image_shim.check.findings import CheckFailed, Finding, Level, ok
from nova_image_shim.check.glance import glance_endpoint, link_findings, list_one_image
from nova_image_shim.check.keystone import log_in, reach_keystone, require_validating_role, validate
from nova_image_shim.check.local import local_findings
from nova_image_shim.settings import Problem, Settings, SettingsError

DESCRIPTION = """\
Check that the settings and the cloud fit together, and suggest a fix for each problem. The
settings are those of `serve`. Nothing is changed.

The check connects to Keystone, logs in as the service user, validates its token, finds Glance in
the catalog, lists one image, compares clocks, and checks links, memcached and limits. It stops at
the first error, because later steps would fail for the same reason.

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
    logging.lastResort = None  # keep the libraries' messages out of the findings
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
    yield from local_findings(settings, environ)
    if settings.backend == "memory":
        yield ok("The embedded cloud needs nothing else (SHIM_BACKEND=memory).")
        return
    try:
        yield from _cloud_findings(settings, token_file)
    except CheckFailed as failure:
        yield Finding(Level.ERROR, *failure.args)


def _setting_finding(problem: Problem) -> Finding:
    where = problem.origin or "the environment"
    fix = f"Fix it in {where}; README.md has the table of settings."
    hint = f" {problem.hint}." if problem.hint else ""
    return Finding(Level.ERROR, f"{problem.text}.", f"{fix}{hint}")


def _cloud_findings(settings: Settings, token_file: Path | None) -> Iterator[Finding]:
    user, keystone = settings.keystone, open_keystone(settings)
    yield from reach_keystone(keystone, str(user.auth_url))
    token = log_in(keystone, user)
    yield ok("The service user can log in.")
    yield validate(keystone, user, str(token.auth_token), "the service user's own token")
    if token_file:
        yield validate(keystone, user, _token_in(token_file), "the client's token")
    else:
        yield require_validating_role(token, user)
    if other := settings.service_user:
        log_in(open_keystone(replace(settings, keystone=other)), other)
        yield ok("The user of [service_user] can log in.")
    setting = "SHIM_GLANCE_ENDPOINT" if settings.glance_endpoint else "Glance's endpoint"
    glance = settings.glance_endpoint or glance_endpoint(user, token)
    yield from link_findings(settings, token, glance)
    yield from list_one_image(keystone, glance, setting)


def _token_in(file: Path) -> str:
    try:
        token = file.read_bytes().removeprefix(codecs.BOM_UTF8).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckFailed(f"--token-file {file}: {error}.", "Name a file with a token.") from error
    if not token.isprintable() or not token or " " in token:
        text = f"--token-file {file}: it does not contain a token."
        raise CheckFailed(text, "Name a file with a token.")
    return token
