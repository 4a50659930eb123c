"""The command line: `nova-image-shim serve`, `check`, `translate`, `usage`."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import resources
from typing import TYPE_CHECKING

from nova_image_shim.check.command import add_check
from nova_image_shim.translation.command import add_translate
from nova_image_shim.usage.command import add_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

_SERVE = """\
Serve the image API: over an embedded cloud in memory, or with SHIM_BACKEND=glance over a real one.
All settings are environment variables; README.md has the table. On standard output comes
`nova-image-shim ready: http://HOST:PORT` once requests are answered; the log is on standard error.
gunicorn serves, so GUNICORN_CMD_ARGS counts, too.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the process's exit status.

    Args:
        arguments: without the program's name; None for the process's own.
    """
    parser = argparse.ArgumentParser(
        "nova-image-shim", description="Nova's legacy image API on top of any Glance v2."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_serve(commands)
    add_check(commands)
    add_translate(commands)
    add_usage(commands)
    given = parser.parse_args(arguments)
    status: int = given.run(given)
    return status


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command that serves; like any other its `run` takes what was parsed."""
    parser = commands.add_parser(
        "serve",
        help="serve until told to end",
        description=_SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=serve)


def serve(_given: argparse.Namespace) -> int:
    """Become gunicorn with our configuration, which an installed package brings along."""
    configuration = str(resources.files(__package__).joinpath("gunicorn.conf.py"))
    arguments = [sys.executable, "-m", "gunicorn", "--config", configuration]
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell is wanted
