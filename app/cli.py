"""The command line: `nova-image-shim serve`, `fake`, `check`, `translate`, `usage`."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import resources

from nova_image_shim.check.command import add_check
from nova_image_shim.translation.command import add_translate
from nova_image_shim.usage.command import add_usage

_BOTH = """
All settings are environment variables; README.md lists them. When it is ready, the service writes
`nova-image-shim ready: http://HOST:PORT` to standard output; the log is on standard error.
The server is gunicorn, which also reads GUNICORN_CMD_ARGS.
"""
_SERVE = f"""\
Serve the image API of a real cloud, on top of its Keystone and Glance.
{_BOTH}"""
_FAKE = f"""\
Serve the image API of an embedded cloud in memory, with an identity, an image API and a control
plane, to test clients against. It needs no settings, and it is NOT secure.
{_BOTH}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, that of the process unless arguments are given; return its exit status."""
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


def add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that serve: `serve` a real cloud, `fake` an embedded one."""
    for name, text, description, backend in (
        ("serve", "serve a real cloud until stopped", _SERVE, "glance"),
        ("fake", "serve an embedded cloud for tests until stopped", _FAKE, "memory"),
    ):
        parser = commands.add_parser(
            name,
            help=text,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(run=serve, command=name, backend=backend)


def serve(given: argparse.Namespace) -> int:
    """Become gunicorn with the configuration in this package; return only where that cannot be.

    `given` has the `command`, and the `backend` that it serves unless SHIM_BACKEND names one.
    """
    backend = os.environ.get("SHIM_BACKEND", "").strip() or given.backend
    if given.command == "fake" and backend != given.backend:
        sys.stderr.write(
            f"nova-image-shim fake: SHIM_BACKEND={backend!r} names another backend: unset it, or "
            "run nova-image-shim serve\n"
        )
        return 2
    os.environ["SHIM_BACKEND"] = backend
    configuration = str(resources.files(__package__).joinpath("gunicorn.conf.py"))
    arguments = [sys.executable, "-m", "gunicorn", "--config", configuration]
    return os.execv(sys.executable, arguments)  # noqa: S606 - no shell is needed
