"""
How far a run has come, on standard error: a bar on a terminal, plain lines elsewhere.

The bar is tqdm's, which is optional (the extra `progress`).
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

#: Without a terminal, at most one line in so many seconds.
SECONDS_A_LINE = 5.0


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


class _StandardError:
    """Standard error; what cannot be written, as on a full disk or into a closed pipe, is left out."""

    def __init__(self) -> None:
        self._file: Any = sys.stderr

    def write(self, text: str) -> None:
        with _unless_impossible():
            self._file.write(text)

    def flush(self) -> None:
        with _unless_impossible():
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def _unless_impossible() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a signal handler's TimeoutError
            raise


def _short(number: float) -> str:
    """A number of three digits, as tqdm writes it: 12.3k."""
    for unit in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}G"


class ProgressBar:
    """
    Shows rows in a second, the time left, and the numbers of the last epoch.

    Parameters
    ----------
    epochs : int
        Of the run.
    n_rows : int, optional
        In an epoch; None if nobody knows, and then there is no time left.

    Raises
    ------
    ImportError
        If standard error is a terminal, and tqdm is not installed.
    """

    def __init__(self, epochs: int, n_rows: int | None) -> None:
        self._epochs = epochs
        self._n_rows = n_rows
        self._counted, self._row = 0, 0  # rows of finished epochs, and of the next, where they must be counted
        self._bar: Any = None
        self._line = ""
        self._started = self._written = time.monotonic()
        if _is_terminal():
            try:
                from tqdm import tqdm
            except ImportError:
                raise ImportError(
                    "progress=True needs tqdm to draw a bar; get it with: pip install 'plainnet[progress]'"
                ) from None
            total = n_rows and epochs * n_rows
            self._bar = tqdm(total=total, unit=" rows", unit_scale=True, dynamic_ncols=True, file=_StandardError())

    def update(self, epoch: int, row: int, logs: dict[str, float]) -> None:
        """Shows that `epoch` epochs and `row` rows of the next one are done, with the logs of the last epoch."""
        done, now = self._done(epoch, row), time.monotonic()
        at = f"epoch {epoch}/{self._epochs}"
        numbers = [f"{name} {value:.4g}" for name, value in logs.items() if name not in ("epoch", "learning_rate")]
        if self._bar is not None:
            self._bar.set_description_str(at, refresh=False)
            self._bar.set_postfix_str(", ".join(numbers), refresh=False)
            self._bar.update(done - self._bar.n)
            return
        rate = done / max(now - self._started, 1e-9)
        numbers.append(f"{_short(rate)} rows/s")
        if self._n_rows is not None:
            numbers.append(f"{(self._epochs * self._n_rows - done) / rate:.0f} s left")
        self._line = f"{at}: {', '.join(numbers)}"
        if now - self._written >= SECONDS_A_LINE:
            self._written = now
            self._write()

    def _done(self, epoch: int, row: int) -> int:
        """How many rows are done."""
        if self._n_rows is not None:
            return epoch * self._n_rows + row
        if row < self._row:  # an epoch has ended
            self._counted += self._row
        self._row = row
        return self._counted + row

    def _write(self) -> None:
        if self._line and sys.stderr is not None:
            print(self._line, file=_StandardError(), flush=True)
        self._line = ""

    def close(self) -> None:
        """Ends the bar, which stays on the screen, or writes the last line."""
        if self._bar is not None:
            self._bar.close()
        else:
            self._write()
