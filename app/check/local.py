"""Checks that need no cloud: the unit's stop time, secrets in files, memcached."""

import math
import re
import shlex
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pymemcache.exceptions import MemcacheError

from nova_image_shim.adapters.address import Server
from nova_image_shim.adapters.stores.memcached import open_client
from nova_image_shim.check.findings import Finding, ok, warning
from nova_image_shim.settings import Settings

_MEMCACHED_SECONDS = 3
_UNIT = "nova-image-shim.service"
_SYSTEMCTL_SECONDS = 5
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}  # of systemd's times
_SECRET = re.compile(
    r"^[^#;\n]*(?:(?:password|secret|secret_key)[\"']?[ \t]*[=:][ \t]*\S|://[^/\s:]*:[^/\s]+@)",
    re.IGNORECASE | re.MULTILINE,
)


def local_findings(settings: Settings) -> Iterator[Finding]:
    """Check the unit's stop time, the files that were read, and memcached."""
    yield from _stop_time(settings)
    for path in settings.files:
        yield from _open_to_all(path)
    for server in settings.memcached_servers:
        yield _memcached(server)


def _stop_time(settings: Settings) -> Iterator[Finding]:
    """Compare the time after which systemd kills the service, where its unit is installed here."""
    command = ["systemctl", "show", _UNIT, "--property=LoadState,TimeoutStopUSec"]
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own program
            command, capture_output=True, text=True, check=False, timeout=_SYSTEMCTL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    allowed = shown.get("TimeoutStopUSec", "")
    if shown.get("LoadState") == "loaded" and _seconds(allowed) < settings.stop_seconds:
        yield warning(
            f"systemd kills {_UNIT} {allowed} after it tells it to stop, but requests may take "
            f"{settings.drain_seconds} s to end.",
            f"Set TimeoutStopSec={settings.stop_seconds} in the unit.",
        )


def _seconds(text: str) -> float:
    """Read systemd's `1min 40s`; `infinity`, and days and longer, count as endless."""
    parts = re.findall(r"([\d.]+)([a-z]+)", text) or [("1", "infinity")]
    return sum(float(number) * _UNITS.get(unit, math.inf) for number, unit in parts)


def _open_to_all(path: Path) -> Iterator[Finding]:
    is_open = path.stat().st_mode & stat.S_IROTH
    if is_open and _SECRET.search(path.read_text(encoding="utf-8", errors="replace")):
        yield warning(
            f"{path} contains a password, and every user of this machine can read it.",
            f"Run: chmod o-r {shlex.quote(str(path))}",
        )


def _memcached(server: Server) -> Finding:
    try:
        with closing(open_client(server, _MEMCACHED_SECONDS)) as client:
            client.version()
    except OSError as error:
        return warning(
            f"memcached at {server} does not answer: {error.strerror or error}.",
            "Start it, or remove it from SHIM_MEMCACHED_SERVERS: until then tokens are validated "
            "more often.",
        )
    except MemcacheError:
        return warning(
            f"The server at {server} is not memcached.", "Correct SHIM_MEMCACHED_SERVERS."
        )
    return ok(f"memcached answers at {server}.")
