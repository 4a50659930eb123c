"""The load: h2load of the nghttp2 project, over HTTP/1.1; it is C++ and costs little itself."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_SECONDS = 600


class LoadError(Exception):
    """A request was not answered with 200, or not at all."""


class Load(NamedTuple):
    """What the clients saw: seconds in all, and of each request in the order of their ends."""

    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Return the requests answered in a second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the time within which a share of the requests was answered, in ms."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def run_load(
    urls: Sequence[str], headers: Mapping[str, str], *, clients: int, requests: int
) -> Load:
    """Have `clients` ask, each on its one connection and one request after another.

    Args:
        urls: of one server, asked in turn.
        headers: sent with each.
        clients: how many ask at the same time.
        requests: how many are sent in all.

    Raises:
        LoadError: a request failed.
    """
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        log, addresses = Path(folder, "log"), Path(folder, "urls")
        addresses.write_text("\n".join(urls) + "\n")
        fields = [argument for pair in headers.items() for argument in ("-H", ": ".join(pair))]
        command = ["h2load", "--h1", "-t1", f"-n{requests}", f"-c{min(clients, requests)}"]
        command += ["-i", str(addresses), f"--log-file={log}", *fields]
        started = time.monotonic()
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
        )
        seconds = time.monotonic() - started
        answers = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    if done.returncode or [line[1] for line in answers] != ["200"] * requests:
        raise LoadError(f"{urls[0]}: {done.stdout[-1500:]}{done.stderr[-500:]}")
    return Load(seconds, [int(line[2]) / 1e6 for line in answers])
