"""Figures of our own process, from what `ProcSubset=pid` leaves to be seen.

prometheus-client has them too, but reads `/proc/stat` for the time of the host's start and tells
nothing where that is not there.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

OWN = Path("/proc/self")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_AFTER_NAME = 3
"""The number, in proc(5), of the first field of `stat` behind the name, which may have anything."""
_THREADS, _START = 20, 22


def process_figures() -> Iterator[tuple[str, float]]:
    """Names and values; what this host does not tell is left out."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "process_cpu_seconds_total", used.ru_utime + used.ru_stime
    yield "process_max_fds", float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    try:
        virtual, resident, *_ = (OWN / "statm").read_text("ascii").split()
        yield "process_virtual_memory_bytes", float(int(virtual) * _PAGE)
        yield "process_resident_memory_bytes", float(int(resident) * _PAGE)
        yield "process_open_fds", float(_descriptors())
        yield "process_threads", float(_stat()[_THREADS - _AFTER_NAME])
        yield "process_start_time_seconds", _began()
    except OSError:
        return


def _stat() -> list[str]:
    return (OWN / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()


@cache
def _began() -> float:
    """When this process has begun: the same each time, for who counts changes of it."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(_stat()[_START - _AFTER_NAME]) / _TICKS
    return time.time() - age


def _descriptors() -> int:
    # the size of the folder is their number since Linux 6.2: with thousands, a list takes long
    return (OWN / "fd").stat().st_size or sum(1 for _ in (OWN / "fd").iterdir())
