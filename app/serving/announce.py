"""What is said on standard output when the service is ready, for people and for test harnesses."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is bound to, told as one address


def announce(app: Flask, address: tuple[str, int]) -> None:
    """Write how to begin, and last `nova-image-shim ready: http://HOST:PORT`.

    Args:
        app: the application; over the embedded cloud the lines say how to log in.
        address: where the service listens.
    """
    host = _ANY.get(address[0], address[0])
    base = f"http://{f'[{host}]' if ':' in host else host}:{address[1]}"
    welcome = app.extensions.get("welcome", lambda _base: [])
    lines = [*welcome(base), f"nova-image-shim ready: {base}"]
    with contextlib.suppress(OSError):  # nobody reads it
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
