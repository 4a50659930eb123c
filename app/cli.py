"""The command line: `nova-image-shim serve`, `fake`, `check`, `translate`, `usage`."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import resources
from importlib.metadata import version

import nova_image_shim.check.command as check
import nova_image_shim.translation.command as translate
import nova_image_shim.usage.command as usage
from nova_image_shim.serving.announce import open_standard_streams

_NAME = "nova-image-shim"
_BOTH = """
Settings are environment variables. Those that are invalid stop the start, all of them reported at
once. When it is ready, the service writes `nova-image-shim ready: http://HOST:PORT` (or
https://..., or unix:/path) to standard output; the log is on standard error.
The server is gunicorn, which also reads GUNICORN_CMD_ARGS.
"""
_SERVE = f"""\
Serve the image API of a real cloud, on top of its Keystone and Glance.

The service user's login is required: in OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and the other OS_*
variables, in the clouds.yaml that OS_CLOUD names a cloud of, or in a nova.conf (SHIM_CONFIG_FILE).
`nova-image-shim check` tests it before the first start.
{_BOTH}"""
_FAKE = f"""\
Serve the image API of an embedded cloud in memory, with an identity, an image API and a control
plane, to test clients against. It needs no settings, and it is NOT secure.
{_BOTH}"""
_EPILOG = """\
`nova-image-shim COMMAND --help` describes a command. All settings, with their defaults, are in
docs/reference/settings.md and deploy/settings.env of the source distribution.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, that of the process unless arguments are given; return its exit status."""
    open_standard_streams()
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        _NAME,
        description="Serve Nova's legacy image API on top of Glance v2.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(_NAME)}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = partial(commands.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text, description, backend in (
        ("serve", "serve a real cloud until stopped", _SERVE, "glance"),
        ("fake", "serve an embedded cloud for tests until stopped", _FAKE, "memory"),
    ):
        command = add(name, help=text, description=description)
        command.set_defaults(run=serve, command=name, backend=backend)
    for name, text, module in (
        ("check", "check that the settings and the cloud fit together", check),
        ("translate", "translate Glance images into legacy ones, offline", translate),
        ("usage", "report from the log who still uses the API", usage),
    ):
        command = add(name, help=text, description=module.DESCRIPTION)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


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
    # A new master (USR2) runs gunicorn's file: with its folder in the path, gunicorn's own `http`
    # would take the place of Python's.
    os.environ["PYTHONSAFEPATH"] = "1"
    configuration = str(resources.files(__package__).joinpath("gunicorn.conf.py"))
    arguments = [sys.executable, "-m", "gunicorn", "--config", configuration]
    return os.execv(sys.executable, arguments)  # noqa: S606 - no shell is needed
