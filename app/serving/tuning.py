"""Memory, garbage collection and open files of a process that serves large lists."""

import ctypes
import gc
import resource
import sys
from contextlib import suppress

from nova_image_shim.settings import Settings

_M_ARENA_MAX = -8  # from glibc's malloc.h
_SWITCH_SECONDS = 0.02  # Python's own 0.005 interrupts the translation of a list several times


def tune_process() -> None:
    """Collect garbage and switch threads less often, and make threads share one heap.

    Call it before any thread starts.

    A list has thousands of objects and no cycles, and scanning them repeatedly takes a fifth of
    the translation's time. With one heap per thread, each heap keeps the memory of the thread's
    largest response, although only one thread runs Python at a time.
    """
    gc.set_threshold(50_000)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with suppress(AttributeError):  # other C libraries have a single heap anyway
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def raise_open_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; return the limit now in effect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS allows less than it states
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def connection_limit(open_files: int, settings: Settings) -> int:
    """Return how many connections a worker may hold, so that it never runs out of open files.

    Raises:
        ValueError: the limit is too low; the text says what is needed.
    """
    needed = settings.reserved_files + settings.pool_size + 1
    if open_files < needed:
        raise ValueError(
            f"{open_files} open files (ulimit -n) are too few for "
            f"SHIM_THREADS={settings.threads}, which needs {needed}"
        )
    return min(settings.most_connections, open_files - settings.reserved_files)
