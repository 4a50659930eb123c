"""Limits of this machine, of the cgroup and of gunicorn that do not fit the settings.

They are those of the process that runs the check: run it where the service runs, in the same unit
or container.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path

from gunicorn.config import Config

from nova_image_shim.check.findings import Finding, Level, warning
from nova_image_shim.settings import Settings

_OTHER_THREADS = 9  # the main one, pages, metrics, the log, readiness
_LISTS = 4  # of the largest size, that a process may read at once
_MEMORY_PER_BYTE = 2.5  # of what Glance sends
_PROCESS_MIB = 128  # at rest, with cached lists
_CGROUP_FILES = {
    "pids": ("pids.max",),
    "memory": ("memory.max", "memory.limit_in_bytes"),  # of version 2 and 1
}


def limit_findings(
    settings: Settings, environ: Mapping[str, str], root: Path = Path("/")
) -> Iterator[Finding]:
    """Compare limits with the settings; the root has `/proc` and `/sys`."""
    yield from _gunicorn_arguments(settings, environ)
    yield from _files(settings, root)
    yield from _tasks(settings, root)
    yield from _memory(settings, root)


def _gunicorn_arguments(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Compare gunicorn's own arguments, which take precedence, with what the settings need."""
    printed = StringIO()
    try:
        with redirect_stderr(printed):
            given = Config().parser().parse_args(shlex.split(environ.get("GUNICORN_CMD_ARGS", "")))
    except (ValueError, SystemExit) as error:
        reason = printed.getvalue().rpartition("error: ")[2].strip() or error
        yield Finding(Level.ERROR, f"gunicorn cannot read GUNICORN_CMD_ARGS: {reason}.")
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


def _files(settings: Settings, root: Path) -> Iterator[Finding]:
    """Compare the files that a process may open with its connections."""
    allowed = _most_files(root)
    calls = settings.reserved_files
    needed = calls + settings.most_connections
    if allowed is None or allowed >= needed:
        return
    starts = allowed > calls + settings.pool_size
    yield Finding(
        Level.WARNING if starts else Level.ERROR,
        f"A process may open {allowed} files, but may need {needed}: {needed - calls} for clients, "
        f"and {calls} for calls to Glance and Keystone, memcached and logs.",
        f"Raise the hard limit (LimitNOFILE= in a systemd unit, ulimit -Hn) to {needed}.",
    )


def _most_files(root: Path) -> int | None:
    """Return the hard limit, to which the service raises its soft one."""
    with suppress(OSError):
        found = re.search(
            r"^Max open files +\S+ +(\d+)", (root / "proc/self/limits").read_text(), re.MULTILINE
        )
        return int(found[1]) if found else None
    return None


def _tasks(settings: Settings, root: Path) -> Iterator[Finding]:
    """Compare the threads of the cgroup, where a reload runs old and new workers side by side."""
    allowed = _cgroup_limit("pids", root)
    needed = 2 * settings.worker_count * (settings.pool_size + _OTHER_THREADS) + 1
    if allowed is not None and allowed < needed:
        yield warning(
            f"The cgroup may run {allowed} tasks, but {settings.worker_count} workers of "
            f"{settings.pool_size} threads may need {needed} during a reload.",
            f"Raise the limit (TasksMax= in a systemd unit) to {needed}, or lower WEB_CONCURRENCY "
            "or SHIM_THREADS.",
        )


def _memory(settings: Settings, root: Path) -> Iterator[Finding]:
    """Compare the memory of the cgroup with the lists that all workers may hold at once."""
    allowed = _cgroup_limit("memory", root)
    largest = settings.max_list_bytes // 2**20
    needed = settings.worker_count * round(_LISTS * largest * _MEMORY_PER_BYTE + _PROCESS_MIB)
    if allowed is not None and allowed < needed * 2**20:
        yield warning(
            f"The cgroup may use {allowed // 2**20} MiB of memory, but {settings.worker_count} "
            f"workers with {_LISTS} lists of {largest} MiB each may need {needed} MiB.",
            f"Raise the limit (MemoryMax= in a systemd unit, the container's) to {needed} MiB, or "
            "lower WEB_CONCURRENCY or SHIM_MAX_LIST_BYTES.",
        )


def _cgroup_limit(controller: str, root: Path) -> int | None:
    """Return the lowest limit of this process's cgroup and those above it, None without one.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst; `man 7 cgroups` for version 1.
    """
    found: list[int] = []
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in {"", controller}:
                top = root / "sys/fs/cgroup" / controllers
                cgroup = top / path.lstrip("/")
                folders = [cgroup, *cgroup.parents]
                found += _numbers_in(folders[: folders.index(top) + 1], _CGROUP_FILES[controller])
    return min(found, default=None)


def _numbers_in(folders: list[Path], names: tuple[str, ...]) -> Iterator[int]:
    for folder in folders:
        for name in names:
            with suppress(OSError, ValueError):  # not there, or `max`
                yield int((folder / name).read_text())
