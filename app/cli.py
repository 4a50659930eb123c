"""The command line: `nova-image-shim serve`, `fake`, `check`, `compare`, ...."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import metadata, resources

import nova_image_shim.check.command as check
import nova_image_shim.compare.command as compare
import nova_image_shim.translation.command as translate
import nova_image_shim.usage.command as usage
from nova_image_shim.serving.announce import READY_FILE, open_standard_streams

_DESCRIPTION = """\
Serve Nova's legacy image API on top of Glance v2: for a real cloud, or for tests over an embedded
one. `nova-image-shim COMMAND --help` explains a command, its options and its exit status.
"""
_EXAMPLES = """
examples:
  nova-image-shim fake                          a cloud to try clients on, in one process
  nova-image-shim check                         after setting the service user's login
  nova-image-shim compare --nova URL --shim URL   before the proxy sends clients to it
  nova-image-shim translate <images.json        images as legacy clients would see them
  nova-image-shim usage /var/log/shim.log       the clients that still use the API
"""
_SETTINGS = """
All settings are environment variables. When it is ready, the service writes
`nova-image-shim ready: http://HOST:PORT` (or https://..., or unix:/path) to standard output; the
log is on standard error. SHIM_BIND sets the address, which is 127.0.0.1:8774 by default. The server
is gunicorn, which also reads GUNICORN_CMD_ARGS; SIGTERM stops it.

Exit status: 0 after SIGTERM or SIGINT; any other if it cannot start, after a line that says why.
"""
_SERVE = f"""\
Serve the image API of a real cloud, on top of its Keystone and Glance.

It needs the login of a service user: OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME,
OS_USER_DOMAIN_NAME and OS_PROJECT_DOMAIN_NAME, or OS_CLOUD for clouds.yaml, or SHIM_CONFIG_FILE for
a nova.conf. `nova-image-shim check` checks them.
{_SETTINGS}"""
_FAKE = f"""\
Serve the image API of an embedded cloud in memory, with an identity, an image API and a control
plane, to test clients against. It needs no settings, and it is NOT secure.

It prints a first request and a login. The page at /_fake/ shows the requests as they come, and
changes images, faults and the clock; the page at /docs describes the calls and tries them.
SHIM_MEMORY_IMAGES names a file with images, projects and users of your own.
{_SETTINGS}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, that of the process unless arguments are given; return its exit status."""
    open_standard_streams()
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "nova-image-shim", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=raw
    )
    version = f"nova-image-shim {metadata.version('nova-image-shim')}"
    parser.add_argument("-V", "--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = partial(commands.add_parser, formatter_class=raw)
    for name, text, description, backend in (
        ("serve", "serve the image API of a real cloud until stopped", _SERVE, "glance"),
        ("fake", "serve an embedded cloud to test clients against, until stopped", _FAKE, "memory"),
    ):
        command = add(name, help=text, description=description)
        command.set_defaults(run=serve, command=name, backend=backend, port=None, ready_file=None)
        if name == "fake":
            command.add_argument("--port", type=_port, help="on 127.0.0.1; 0 for a free one")
            command.add_argument(
                "--ready-file",
                type=os.path.abspath,
                metavar="FILE",
                help="write the address to this file, as a line, when ready",
            )
    for name, text, module in (
        ("check", "check the settings and the cloud, and suggest a fix for each problem", check),
        (
            "compare",
            "compare the cloud's own Nova with this service, before clients use it",
            compare,
        ),
        ("translate", "show Glance images as legacy Nova does; no service is contacted", translate),
        ("usage", "report from the service's logs who still uses the API", usage),
    ):
        command = add(name, help=text, description=module.DESCRIPTION)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) < 2**16):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a port: use 0 to 65535")
    return int(text)


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
    if given.port is not None:
        os.environ["SHIM_BIND"] = f"127.0.0.1:{given.port}"
    if given.ready_file:
        os.environ[READY_FILE] = given.ready_file
    # A new master (USR2) runs gunicorn's file: with its folder in the path, gunicorn's own `http`
    # would take the place of Python's.
    os.environ["PYTHONSAFEPATH"] = "1"
    configuration = str(resources.files(__package__).joinpath("gunicorn.conf.py"))
    arguments = [sys.executable, "-m", "gunicorn", "--config", configuration]
    return os.execv(sys.executable, arguments)  # noqa: S606 - no shell is needed
