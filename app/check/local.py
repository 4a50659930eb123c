"""Checks that need no cloud: limits of this machine, stop times, secrets in files, memcached."""

import math
import re
import resource
import shlex
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from gunicorn.config import Config
from pymemcache.exceptions import MemcacheError

from nova_image_shim.adapters.address import Server
from nova_image_shim.adapters.stores.memcached import open_client
from nova_image_shim.check.findings import Finding, Level, ok, warning
from nova_image_shim.settings import Settings

_MEMCACHED_SECONDS = 3
_FILES_PER_THREAD = 6  # the client's, three to Glance, one each to Keystone and memcached
_OTHER_FILES = 64
_UNIT = "nova-image-shim.service"
_SYSTEMCTL_SECONDS = 5
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}  # of systemd's times
_SECRET = re.compile(
    r"^[^#;\n]*(?:(?:password|secret|secret_key)[\"']?[ \t]*[=:][ \t]*\S|://[^/\s:]*:[^/\s]+@)",
    re.IGNORECASE | re.MULTILINE,
)


def local_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check this machine, gunicorn's own arguments, the files that were read, and memcached."""
    yield from _gunicorn_arguments(settings, environ)
    yield from _files(settings)
    yield from _stop_time(settings)
    for path in settings.files:
        yield from _open_to_all(path)
    for server in settings.memcached_servers:
        yield _memcached(server)


def _gunicorn_arguments(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Compare gunicorn's own arguments, which take precedence, with what the settings need."""
    try:
        arguments = shlex.split(environ.get("GUNICORN_CMD_ARGS", ""))
        given, _ = Config().parser().parse_known_args(arguments)
    except (ValueError, SystemExit):
        text = "gunicorn does not understand GUNICORN_CMD_ARGS."
        yield Finding(Level.ERROR, text, "Correct it; `gunicorn --help` lists the options.")
        return
    if given.threads and given.threads < settings.pool_size:
        yield warning(
            f"GUNICORN_CMD_ARGS sets a pool of {given.threads} threads, but "
            f"SHIM_THREADS={settings.threads} and its queues need {settings.pool_size}: while "
            "Glance hangs, even /healthcheck would wait.",
            "Remove --threads from GUNICORN_CMD_ARGS and set SHIM_THREADS instead.",
        )
    if given.graceful_timeout is not None and given.graceful_timeout < settings.drain_seconds:
        yield warning(
            f"GUNICORN_CMD_ARGS ends requests {given.graceful_timeout} s after the service is "
            f"told to stop, but they may take {settings.drain_seconds} s.",
            "Remove --graceful-timeout from GUNICORN_CMD_ARGS.",
        )


def _files(settings: Settings) -> Iterator[Finding]:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.threads * _FILES_PER_THREAD + _OTHER_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        yield warning(
            f"A process may open {allowed} files, but {settings.threads} threads may need {needed} "
            "connections.",
            f"Raise the limit (LimitNOFILE= in a systemd unit, ulimit -n) to at least {needed}.",
        )


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
