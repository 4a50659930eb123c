"""Measure the CPU time and memory of a process tree."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCHES = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
_libc = ctypes.CDLL(None, use_errno=True)


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process and its descendants, including ended threads.

    It reads the processes' CPU clocks, which count nanoseconds; `/proc/PID/stat` counts hundredths
    of a second. Ended processes are not included, so workers must not change between two calls.
    """
    return sum(time.clock_gettime(_clock_of(process.pid)) for process in tree(root))


def _clock_of(pid: int) -> int:
    clock = ctypes.c_int()
    if error := _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, os.strerror(error))
    return clock.value


def context_switches(root: int) -> int:
    """Return how often the threads of a process and its descendants were switched.

    Those of ended threads are not included.
    """
    found = 0
    for process in tree(root):
        for task in Path("/proc", str(process.pid), "task").iterdir():
            with suppress(OSError):  # it has just ended
                found += sum(_status(task, field) for field in SWITCHES)
    return found


def tree(root: int) -> list[psutil.Process]:
    """Return a process and its descendants."""
    process = psutil.Process(root)
    return [process, *process.children(recursive=True)]


def reset_peaks(root: int) -> None:
    """Reset the kernel's record of each process's peak memory."""
    for path in _proc(root):
        (path / "clear_refs").write_text("5")


def peak_mib(root: int) -> float:
    """Return the highest peak memory of a process below `root` since `reset_peaks`."""
    return max(_status(path, "VmHWM") for path in _proc(root)) / 1024


def resident_mib(root: int) -> float:
    """Return the resident memory of the largest process below `root`."""
    return max(_status(path, "VmRSS") for path in _proc(root)) / 1024


def most_threads(root: int) -> int:
    """Return the number of threads of the process below `root` that has most."""
    return max(process.num_threads() for process in tree(root))


def _proc(root: int) -> Iterator[Path]:
    for process in tree(root)[1:] or tree(root):
        yield Path("/proc", str(process.pid))


def _status(path: Path, field: str) -> int:
    lines = (path / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
