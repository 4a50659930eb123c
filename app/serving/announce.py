"""Standard output: the lines for people and for test harnesses when the service is ready."""

import contextlib
import logging
import os
import sys
from pathlib import Path

from flask import Flask

_log = logging.getLogger(__name__)

READY_FILE = "NOVA_IMAGE_SHIM_READY_FILE"  # how the command line hands the file on to gunicorn
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown to users, not bound to


def open_standard_streams() -> None:
    """Open closed standard streams on the null device; call before anything else is opened.

    Otherwise a socket would get the number of a stream, and what is written to it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r+")  # noqa: SIM115, PTH123 - open until the process ends
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def announce(app: Flask, name: tuple[str, int] | str | bytes, scheme: str) -> None:
    """Write a welcome, and `nova-image-shim ready: http://HOST:PORT` as the last line.

    The welcome of the embedded cloud, which the application brings, shows how to log in.

    Args:
        app: the application.
        name: the listening socket's name: an address, or the path of a Unix socket, for which the
            last line is `nova-image-shim ready: unix:/path`. An abstract one is bytes.
        scheme: `http` or `https`.
    """
    lines: list[str] = []
    if isinstance(name, str | bytes):
        base = f"unix:{os.fsdecode(name)}".replace("\0", "@")
    else:
        host, port = _LOOPBACK.get(name[0], name[0]), name[1]
        base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        lines += app.extensions.get("welcome", lambda _base: [])(base)
    lines.append(f"nova-image-shim ready: {base}")
    if path := os.environ.get(READY_FILE):
        _write_ready_file(Path(path), base)
    with contextlib.suppress(OSError):  # the reader has closed it
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


def _write_ready_file(path: Path, base: str) -> None:
    """Write the address to a file; whoever waits for the file finds it complete."""
    try:
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_text(f"{base}\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        _log.error("the ready file cannot be written: %s", error)
