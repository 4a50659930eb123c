"""Generate load over HTTP/1.1 with h2load from nghttp2, which uses little CPU itself."""

from __future__ import annotations

import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LONGEST_SECONDS = 600
ENDLESS = 10**7


class LoadError(Exception):
    """A request failed or did not return 200."""


class Load(NamedTuple):
    """The clients' results: seconds in total, and of each request in the order of completion."""

    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Return the requests per second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the response times in ms."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def run_load(
    urls: Sequence[str], headers: Mapping[str, str], *, clients: int, requests: int
) -> Load:
    """Run clients that each send requests one by one on a single connection.

    Args:
        urls: the URLs of one server to request in turn.
        headers: the headers of each request.
        clients: the number of concurrent clients.
        requests: the total number of requests.

    Raises:
        LoadError: a request failed.
    """
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        log = Path(folder, "log")
        command = _command(Path(folder), urls, headers, clients, requests)
        started = time.monotonic()
        done = subprocess.run(
            [*command, f"--log-file={log}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
        )
        seconds = time.monotonic() - started
        answers = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    if done.returncode or [line[1] for line in answers] != ["200"] * requests:
        raise LoadError(f"{urls[0]}: {done.stdout[-1500:]}{done.stderr[-500:]}")
    return Load(seconds, [int(line[2]) / 1e6 for line in answers])


@contextmanager
def endless_load(url: str, headers: Mapping[str, str], *, clients: int) -> Iterator[None]:
    """Run clients as `run_load` does until the block ends; nobody looks at their responses."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        command = _command(Path(folder), [url], headers, clients, ENDLESS)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            try:
                yield
            finally:
                running.kill()


def _command(
    folder: Path, urls: Sequence[str], headers: Mapping[str, str], clients: int, requests: int
) -> list[str]:
    addresses = folder / "urls"
    addresses.write_text("\n".join(urls) + "\n")
    fields = [argument for pair in headers.items() for argument in ("-H", ": ".join(pair))]
    options = [f"-n{requests}", f"-c{min(clients, requests)}", "-i", str(addresses)]
    return ["h2load", "--h1", "-t1", *options, *fields]
