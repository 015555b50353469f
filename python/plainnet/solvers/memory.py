"""Whether there is memory for what a solver is about to allocate."""

from __future__ import annotations

import os

from ..arrays import no_memory


def check_memory(what: str, n_bytes: int, remedy: str) -> None:
    """
    Checks that so much memory is available. A large array can be allocated without: the process is killed when it is
    written to.

    Raises
    ------
    MemoryError
        Which names what it is for, how much it is, and the `remedy`.
    """
    if n_bytes > _available():
        raise no_memory(what, n_bytes, remedy)


def _available() -> int:
    """The bytes that can be allocated without swapping, as Linux estimates them; elsewhere those of the machine."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
