"""The lines on standard output when the service is ready, for people and for test harnesses."""

import contextlib
import sys

from flask import Flask

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown to users, not bound to


def announce(app: Flask, address: tuple[str, int]) -> None:
    """Write a welcome, and `nova-image-shim ready: http://HOST:PORT` as the last line.

    The welcome of the embedded cloud, which the application brings, shows how to log in.
    """
    host = _LOOPBACK.get(address[0], address[0])
    base = f"http://{f'[{host}]' if ':' in host else host}:{address[1]}"
    welcome = app.extensions.get("welcome", lambda _base: [])
    lines = [*welcome(base), f"nova-image-shim ready: {base}"]
    with contextlib.suppress(OSError):  # standard output is closed
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
