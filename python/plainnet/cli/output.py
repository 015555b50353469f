"""What commands write: results on standard output, errors and progress on standard error."""

from __future__ import annotations

import contextlib
import math
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Sequence
from types import TracebackType

# Seconds before the first report and between reports, on a terminal and elsewhere.
_ON_TERMINAL = 1.0, 0.2
_IN_LOG = 10.0, 10.0

#: Of a line of text.
_WIDTH = 80

#: Of the names of facts, with the space after them.
_NAME_WIDTH = 11


class CommandError(Exception):
    """What keeps a command from doing its work, in one line: it ends with status 1."""


def say(text: str) -> None:
    """Lines on standard output."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # which may lack some letters of a path
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def complain(text: str, command: str = "") -> None:
    """A line on standard error, if that can be written: what is wrong with the work of `command`."""
    with contextlib.suppress(OSError):
        print(f"plainnet{command and ' '}{command}: {' '.join(text.splitlines())}", file=sys.stderr, flush=True)


def say_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Facts on standard output, a line or more each, with their names on the left."""
    indent = " " * _NAME_WIDTH
    wrapper = textwrap.TextWrapper(_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    for name, text in facts:
        wrapper.initial_indent = f"{name:{_NAME_WIDTH}}"
        say(wrapper.fill(_printable(text)))


def say_path(name: str, path: str) -> None:
    """Where something is, on standard output, in one line."""
    say(f"{name:{_NAME_WIDTH}}{path}")


def say_rows(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """A table on standard output: `right` tells which columns are aligned to the right, as numbers are."""
    rows = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows)]
    for row in rows:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths)]
        cells = [gap + cell if is_right else cell + gap for cell, gap, is_right in zip(row, gaps, right)]
        say("  ".join(cells).rstrip())


def _width(text: str) -> int:
    """How many columns of a terminal `text` takes: letters of Chinese and others take two, combining accents none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _printable(text: str) -> str:
    """Text from a file in a line, with escapes for what would do something to a terminal."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class ProgressLine:
    """
    Reports the progress of a long job on standard error.

    On a terminal this is one line, which is overwritten and disappears at the end; elsewhere it is a line now and then.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        first, self._interval = _ON_TERMINAL if self._is_terminal else _IN_LOG
        self._due = time.monotonic() + first
        self._stage, self._done = "", math.inf
        self._shown = ""

    def __call__(self, stage: str, done: float, total: int) -> None:
        """`done` of `total` things, which `stage` names."""
        now = time.monotonic()
        if stage != self._stage or done < self._done:
            self._stage, self._stage_began, self._done_before = stage, now, done
        self._done = done
        if now >= self._due:
            self._due = now + self._interval
            text = f"{self._title}: {int(done)} of {total} {stage}"
            if done > self._done_before:
                left = (now - self._stage_began) * (total - done) / (done - self._done_before)
                text += f", {_rough_duration(left)} left"
            self._show(text)

    def _show(self, text: str) -> None:
        if self._is_terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            line = f"\r{text:{len(self._shown)}}" if text else f"\r{'':{len(self._shown)}}\r"
            self._shown = text
        else:
            line = f"plainnet xor: {text}\n"
        with contextlib.suppress(OSError):  # the job goes on without
            sys.stderr.write(line)
            sys.stderr.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._show("")


def _rough_duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
