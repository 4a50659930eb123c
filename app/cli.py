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
Serve the image API with an embedded in-memory cloud, or with SHIM_BACKEND=glance with a real one.
All settings are environment variables; README.md lists them. When it is ready, the service writes
`nova-image-shim ready: http://HOST:PORT` to standard output; the log is on standard error.
The server is gunicorn, which also reads GUNICORN_CMD_ARGS.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: the command and its options; None means those of the process.
    """
    parser = argparse.ArgumentParser(
        "nova-image-shim", description="Serve Nova's legacy image API on top of Glance v2."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_serve(commands)
    add_check(commands)
    add_translate(commands)
    add_usage(commands)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `serve` command."""
    parser = commands.add_parser(
        "serve",
        help="serve until stopped",
        description=_SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=serve)


def serve(_options: argparse.Namespace) -> int:
    """Replace this process with gunicorn, using the configuration in this package."""
    configuration = str(resources.files(__package__).joinpath("gunicorn.conf.py"))
    arguments = [sys.executable, "-m", "gunicorn", "--config", configuration]
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell is needed
