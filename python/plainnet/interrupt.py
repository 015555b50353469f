"""Ctrl-C between steps instead of within one."""

from __future__ import annotations

import os
import threading

# What the module signal wraps. Its wrappers turn numbers and handlers into enumerations and back, which takes several
# microseconds: more than a small network's training.
from _signal import getsignal, signal  # type: ignore[import-not-found]
from signal import SIGINT
from types import FrameType
from typing import Any


class DeferredInterrupt:
    """
    From :meth:`begin` to :meth:`end`, a SIGINT is remembered; :meth:`deliver` hands it to the handler that was there.

    Python runs signal handlers in the main thread alone: elsewhere, and where SIGINT is not handled by Python, this
    does nothing. An exception that comes in the midst of a method does no harm, provided that :meth:`end` is called
    again until it comes to its own end.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, FrameType | None] | None = None
        self._previous: Any = None
        self._thread = threading.get_ident()

    def begin(self) -> None:
        if threading.current_thread() is threading.main_thread():
            previous = getsignal(SIGINT)
            if callable(previous):
                self._previous = previous
                signal(SIGINT, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._pending = number, frame

    def deliver(self) -> None:
        """Calls the handler, by default Python's own, which raises KeyboardInterrupt, if a signal has come."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._previous(*pending)

    def end(self) -> None:
        """Puts the handler back, unless another one is there by now, and delivers."""
        if self._previous is not None:
            if getsignal(SIGINT) == self._remember:
                signal(SIGINT, self._previous)
            self.deliver()


def _forget_other_threads() -> None:
    """In a forked process: what deferred SIGINT for another thread has no thread any more to end it."""
    handler = current = getsignal(SIGINT)
    while isinstance(owner := getattr(handler, "__self__", None), DeferredInterrupt):
        if owner._thread == threading.get_ident():
            return
        handler = owner._previous
    if handler is not current:
        signal(SIGINT, handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
