"""The command line: ``plainnet xor``."""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import __version__, native, xor
from .training import DivergedError

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
exit status: 0; 1 if the backends disagree or training diverges; 2 for bad
options. The backends agree when their parameters, predictions and loss curves
differ by at most 1e-11 (float64) or 1e-4 (float32) of the largest entry."""


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
        0; 1 if the backends disagree or training diverges; 2 if the picture cannot be written; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        With code 2 for bad options, and 0 for ``--help`` and ``--version``.
    """
    options = _parse(argv)
    try:
        return _starts(options) if options.starts else _compare(options)
    except DivergedError as error:
        print(f"plainnet xor: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("plainnet xor: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


# ---- Options ---------------------------------------------------------------------------------------------------------


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("plainnet", description="Small and medium dense neural networks on a CPU.")
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
    add("--learning-rate", type=_rate, metavar="RATE", help=f"of both systems (default: their own, {rates})")
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
        if not _have_matplotlib():
            command.error(f"argument --picture: {_NO_MATPLOTLIB}")
        from . import plot

        try:
            plot.check_path(options.picture)
        except ValueError as error:
            command.error(f"argument --picture: {error}")
    chosen = options.backend or ("c" if options.starts else "both")
    options.backends = ("c", "numpy") if chosen == "both" else (chosen,)
    return options


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
        result = xor.train(
            system, options.seed, options.backends, options.epochs, options.learning_rate, options.dtype, repeats=5
        )
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
        starts = xor.train_starts(
            system, options.starts, options.seed, options.backends, options.epochs, options.learning_rate, options.dtype
        )
        _say(xor.report_starts(starts))
        agree = agree and starts.agree
    _explain(options, agree)
    return 0 if agree else 1


def _say(text: str) -> None:
    print(text, flush=True)


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
    if not _have_matplotlib():
        _say(f"No picture: {_NO_MATPLOTLIB}")
        return 0
    from . import plot

    path = options.picture or DEFAULT_PICTURE
    try:
        plot.write_picture(results, path)
    except OSError as error:
        print(f"plainnet xor: no picture: {error}; --picture PATH puts it elsewhere", file=sys.stderr)
        return 0 if options.picture is None else 2
    _say(f"Picture: {path.resolve()}")
    return 0


def _have_matplotlib() -> bool:
    return importlib.util.find_spec("matplotlib") is not None
