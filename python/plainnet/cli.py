"""The command line: ``plainnet xor``."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from . import __version__, native, xor
from .backend import DivergedError

DEFAULT_PICTURE = Path("plainnet-xor.png")

#: Both systems solve XOR from here.
DEFAULT_SEED = 0

_MOST_EPOCHS = 10_000_000  # a loss of each is kept
_MOST_STARTS = 1_000_000
_NO_MATPLOTLIB = "a picture needs matplotlib; get it with: pip install matplotlib"

_DESCRIPTION = """\
Trains the XOR networks of two from-scratch tutorials with the NumPy backend
and with the C backend, and shows that they agree. With matplotlib installed it
draws the loss curves and what the networks have learned."""

_EPILOG = """\
Results go to standard output; long runs say on standard error how far they
are. The backends agree when their parameters, predictions and loss curves
differ by at most 1e-11 (float64) or 1e-4 (float32) of the largest entry.

exit status: 0; 1 if the backends disagree, training diverges or the output
cannot be written; 2 for bad options; 130 after Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Runs the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Default: ``sys.argv[1:]``.

    Returns
    -------
    int
        0; 1 if the backends disagree, training diverges or the output cannot be written; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        With code 2 for bad options, and 0 for ``--help`` and ``--version``.
    """
    try:
        try:
            options = _parse(argv)
            return _starts(options) if options.starts else _compare(options)
        finally:
            if sys.stdout is not None:  # after --help as well, as at exit a full disk would print a traceback
                sys.stdout.flush()
    except (DivergedError, MemoryError) as error:
        _complain(str(error) or "out of memory")
        return 1
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # of which the reader, `head` say, is the cause
            _complain(f"cannot write the output: {error.strerror or error}")
        with contextlib.suppress(OSError, AttributeError):  # of an output that is no file
            output = sys.stdout.fileno()
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # for what is still in the buffer
        return 1


# ---- Options ---------------------------------------------------------------------------------------------------------


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser("plainnet", description="Small and medium dense neural networks on a CPU.")
    parser.add_argument("--version", action="version", version=f"plainnet {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "xor", help="train two networks on XOR with both backends and compare them",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = command.add_argument
    add("--seed", type=_integer(0), default=DEFAULT_SEED, metavar="N", help=f"starting point (default {DEFAULT_SEED})")
    add("--epochs", type=_integer(1, _MOST_EPOCHS), default=xor.EPOCHS, metavar="N",
        help=f"passes over the four rows (default {xor.EPOCHS})")  # fmt: skip
    rates = " and ".join(f"{system.learning_rate:g}" for system in xor.SYSTEMS.values())
    add("--learning-rate", type=_rate, metavar="RATE", help=f"of both networks (default: their own, {rates})")
    add("--dtype", choices=["float64", "float32"], default="float64", help="default float64")
    add("--backend", choices=["both", "c", "numpy"], help="default both; with --starts, c")
    add("--starts", type=_integer(1, _MOST_STARTS), metavar="N",
        help="train from N starting points (seeds SEED, SEED+1, ...) and count those that solve XOR")  # fmt: skip
    picture = command.add_mutually_exclusive_group()
    picture.add_argument("--picture", type=Path, metavar="PATH", help=f"where to (default {DEFAULT_PICTURE})")
    picture.add_argument("--no-picture", action="store_true", help="do not draw one")
    options = parser.parse_args(argv)

    with np.errstate(over="ignore", under="ignore"):
        rate = options.learning_rate
        if rate is not None and not 0 < np.dtype(options.dtype).type(rate) < np.inf:
            command.error(f"argument --learning-rate: {rate:g} is 0 or infinite in {options.dtype}")
    if options.picture is not None:
        if options.starts:
            command.error("argument --picture: not allowed with argument --starts")
        try:
            _plot().check_path(options.picture)
        except ValueError as error:
            command.error(f"argument --picture: {error}")
    chosen = options.backend or ("c" if options.starts else "both")
    options.backends = ("c", "numpy") if chosen == "both" else (chosen,)
    return options


class _Parser(argparse.ArgumentParser):
    """argparse passes over every error of writing; here a lost ``--help`` is one."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not None and file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


class _integer:
    """An argparse type: an integer within bounds."""

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least, self.most = least, most

    def __call__(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        if value < self.least or (self.most is not None and value > self.most):
            bounds = f"at least {self.least}" if self.most is None else f"within {self.least}...{self.most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {text}")
        return value


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be finite and above 0, not {text}")
    return value


# ---- The two jobs ----------------------------------------------------------------------------------------------------


def _compare(options: argparse.Namespace) -> int:
    _say(f"Two networks on XOR, trained by {_names(options.backends)}; {_settings(options)}")
    results = []
    for number, system in enumerate(xor.SYSTEMS.values(), 1):
        with _Progress(system.name) as progress:
            result = xor.train(
                system, options.seed, options.backends, options.epochs, options.learning_rate, options.dtype, repeats=5,
                progress=progress,
            )  # fmt: skip
        _say(f"\n{number}. {xor.report(result)}")
        results.append(result)
    checks = [result.check for result in results if result.check is not None]
    agree = all(check.agree for check in checks)
    _say("")
    _explain(options, agree)
    status = _picture(options, results)
    return status if agree else 1


def _starts(options: argparse.Namespace) -> int:
    _say(f"Two networks on XOR, trained by {_names(options.backends)}; {_settings(options)}")
    agree = True
    for number, system in enumerate(xor.SYSTEMS.values(), 1):
        rate = system.learning_rate if options.learning_rate is None else options.learning_rate
        _say("\n".join(["", f"{number}. " + xor.describe(system, rate)[0], *xor.describe(system, rate)[1:], ""]))
        with _Progress(system.name) as progress:
            starts = xor.train_starts(
                system, options.starts, options.seed, options.backends, options.epochs, options.learning_rate,
                options.dtype, progress,
            )  # fmt: skip
        _say(xor.report_starts(starts))
        agree = agree and starts.agree
    _explain(options, agree)
    return 0 if agree else 1


def _say(text: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # which need not know every letter of a path
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def _complain(text: str) -> None:
    """A line on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(f"plainnet xor: {text}", file=sys.stderr, flush=True)


def _names(backends: Sequence[str]) -> str:
    return " and ".join(
        f"C ({native.isa()})" if backend == "c" else xor.BACKEND_TITLES[backend] for backend in backends
    )


def _settings(options: argparse.Namespace) -> str:
    seeds = f"seeds {options.seed}-{options.seed + options.starts - 1}" if options.starts else f"seed {options.seed}"
    return f"{seeds}, {options.dtype}"


def _explain(options: argparse.Namespace, agree: bool) -> None:
    """What a reader should know of large learning rates."""
    if len(options.backends) > 1 and options.learning_rate is not None and options.learning_rate > 1:
        verdict = "Agreement is luck." if agree else "Disagreement need not be the fault of either."
        _say(
            "Note: with a learning rate above 1 training is chaotic: differences in the last\n"
            f"digit grow until the runs part. {verdict}"
        )


def _picture(options: argparse.Namespace, results: list[xor.Result]) -> int:
    if options.no_picture:
        return 0
    try:
        plot = _plot()
    except ValueError as error:
        _say(f"No picture: {error}")
        return 0
    path = options.picture or DEFAULT_PICTURE
    try:
        plot.write_picture(results, path)
    except OSError as error:
        _complain(f"no picture: {error}; --picture PATH puts it elsewhere")
        return 0 if options.picture is None else 1
    _say(f"Picture: {path.resolve()}")
    return 0


def _plot() -> ModuleType:
    """The module that draws; a ValueError says why there is none."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(_NO_MATPLOTLIB)
    try:
        from . import plot
    except Exception as error:  # an installation that does not fit the others, or its own settings
        raise ValueError(f"matplotlib cannot be imported: {' '.join(str(error).split())}") from error
    return plot


# ---- How far a long job is -------------------------------------------------------------------------------------------

# Seconds before the first word and between words, on a terminal and elsewhere.
_ON_TERMINAL = 1.0, 0.2
_IN_LOG = 10.0, 10.0


class _Progress:
    """
    Says on standard error how far a job is, if it takes long.

    On a terminal that is one line, which is written over and disappears at the end; elsewhere a line now and then.
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
        with contextlib.suppress(OSError):  # results matter more
            sys.stderr.write(line)
            sys.stderr.flush()

    def __enter__(self) -> _Progress:
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
