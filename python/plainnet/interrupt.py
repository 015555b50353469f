"""Ctrl-C between steps instead of within one."""

from __future__ import annotations

import threading

# What the module signal wraps. Its wrappers turn numbers and handlers into enumerations and back, which takes several
# microseconds: more than a small network's training.
from _signal import getsignal, signal  # type: ignore[import-not-found]
from signal import SIGINT
from types import FrameType, TracebackType


class DeferredInterrupt:
    """
    While active, a SIGINT is remembered instead of delivered; :meth:`deliver` hands it to the handler that was there.

    Python runs signal handlers in the main thread alone: elsewhere, and where SIGINT is not handled by Python, this
    does nothing.
    """

    def __enter__(self) -> DeferredInterrupt:
        self._pending: tuple[int, FrameType | None] | None = None
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            previous = getsignal(SIGINT)
            if callable(previous):
                self._previous = previous
                signal(SIGINT, self._remember)
        return self

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._pending = number, frame

    def deliver(self) -> None:
        """Calls the handler, by default Python's own, which raises KeyboardInterrupt, if a signal has come."""
        if self._pending is not None and self._previous is not None:
            pending, self._pending = self._pending, None
            self._previous(*pending)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal(SIGINT, self._previous)
            if error is None:
                self.deliver()
