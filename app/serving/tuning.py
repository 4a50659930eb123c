"""What a process that serves lists is told of garbage and memory, before it has any threads."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8  # of glibc's malloc.h


def tune_process() -> None:
    """Look for garbage less often, and have all threads take memory from one heap.

    A list is thousands of objects and none is in a cycle: to look through them again and again is
    a fifth of the time of their translation. And where each thread has a heap of its own, each
    keeps what its largest answer needed, though only one runs at a time.
    """
    gc.set_threshold(50_000)
    with suppress(AttributeError):  # another C library has one heap already
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
