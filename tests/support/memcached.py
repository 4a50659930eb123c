"""A real memcached."""

import contextlib
import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live import free_port


@contextlib.contextmanager
def real_memcached(path: Path | None = None) -> Iterator[str]:
    """Run a memcached, at a socket of that path or at a free port, and yield its address.

    Where none is installed, the test is skipped.
    """
    if shutil.which("memcached") is None:
        pytest.skip("memcached is not installed; run `apt-get install memcached`")
    port = free_port()
    where = ["-s", str(path)] if path else ["-l", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(["memcached", "-U", "0", "-u", getpass.getuser(), *where])
    try:
        deadline = time.monotonic() + 10
        while not (path.exists() if path else _listens(port)):
            assert time.monotonic() < deadline
        yield f"unix:{path}" if path else f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
