"""A real memcached."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from support.live import free_port


@contextlib.contextmanager
def real_memcached() -> Iterator[str]:
    """Run a memcached and yield its address, or skip the test where there is none."""
    if shutil.which("memcached") is None:
        pytest.skip("memcached is not installed; run `apt-get install memcached`")
    port = free_port()
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 10
        while not _listens(port):
            assert time.monotonic() < deadline
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
