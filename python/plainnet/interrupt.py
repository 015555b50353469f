"""Ctrl-C between the steps of training instead of within one."""

from __future__ import annotations

import os
import threading

# The functions that the module signal wraps. Its wrappers convert numbers and handlers to enumerations and back, which
# takes several microseconds: longer than training a small network.
from _signal import getsignal, signal  # type: ignore[import-not-found]
from signal import SIGINT
from types import FrameType
from typing import Any


class DeferredInterrupt:
    """
    Remembers a SIGINT from :meth:`begin` to :meth:`end`; :meth:`deliver` passes it to the previous handler.

    Python runs signal handlers in the main thread alone. In another thread, and if Python does not handle SIGINT, this
    class does nothing. An exception may interrupt each method, provided that :meth:`end` is then called until it
    returns.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, FrameType | None] | None = None
        self._previous: Any = None
        self._thread = threading.get_ident()

    def begin(self) -> None:
        """Installs a handler that remembers the signal."""
        if threading.current_thread() is threading.main_thread():
            previous = getsignal(SIGINT)
            if callable(previous):
                self._previous = previous
                signal(SIGINT, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._pending = number, frame

    def deliver(self) -> None:
        """Calls the previous handler if a signal has come; by default it raises KeyboardInterrupt."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._previous(*pending)

    def end(self) -> None:
        """Restores the previous handler, unless another one has been installed meanwhile, and delivers."""
        if self._previous is not None:
            if getsignal(SIGINT) == self._remember:
                signal(SIGINT, self._previous)
            self.deliver()


def _forget_other_threads() -> None:
    """In a forked process, restores the handler that another thread had replaced: that thread is not there."""
    handler = current = getsignal(SIGINT)
    while isinstance(owner := getattr(handler, "__self__", None), DeferredInterrupt):
        if owner._thread == threading.get_ident():
            return
        handler = owner._previous
    if handler is not current:
        signal(SIGINT, handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
