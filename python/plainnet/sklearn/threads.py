"""The number of threads during some calls: that of the process, which is put back when the last of them ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..native import num_threads, set_num_threads

_lock = threading.Lock()
_calls = 0
_before = 1


@contextmanager
def limited_threads(n: int | None) -> Iterator[None]:
    """
    Has up to `n` threads at work; None leaves their number.

    Where calls in several threads overlap, the last one to begin decides for all of them; no result depends on it.
    """
    global _calls, _before
    if n is None:
        yield
        return
    with _lock:
        if _calls == 0:
            _before = num_threads()
        set_num_threads(n)
        _calls += 1
    try:
        yield
    finally:
        with _lock:
            _calls = max(0, _calls - 1)  # in a process that was forked meanwhile, it is 0
            if _calls == 0:
                set_num_threads(_before)


def _forget_other_threads() -> None:
    """In a forked process the calls of other threads are not under way, and nobody holds the lock."""
    global _lock, _calls
    if _calls > 0:
        set_num_threads(_before)
    _lock, _calls = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
