"""The lines on standard output when the service is ready, for people and for test harnesses."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown to users, not bound to


def announce(app: Flask, address: tuple[str, int]) -> None:
    """Write a welcome, and `nova-image-shim ready: http://HOST:PORT` as the last line.

    Args:
        app: the application; the welcome of the embedded cloud shows how to log in.
        address: the host and port that the service listens on.
    """
    host = _LOOPBACK.get(address[0], address[0])
    base = f"http://{f'[{host}]' if ':' in host else host}:{address[1]}"
    welcome = app.extensions.get("welcome", lambda _base: [])
    lines = [*welcome(base), f"nova-image-shim ready: {base}"]
    with contextlib.suppress(OSError):  # standard output is closed
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
