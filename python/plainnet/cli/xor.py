"""``plainnet xor``: the XOR networks of two tutorials, trained by both backends and compared."""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import native
from ..optimizers import is_usable
from ..tutorials import xor, xor_tables
from .options import integer, positive
from .output import ProgressLine, complain, say

DEFAULT_PICTURE = Path("plainnet-xor.png")

#: Both systems solve XOR from this seed.
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


# ---- Options ---------------------------------------------------------------------------------------------------------


def add_to(commands: Any) -> None:
    """Adds the command to argparse's `commands`; ``options.run(options)`` runs it."""
    command = commands.add_parser(
        "xor", help="train two networks on XOR with both backends and compare them",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = command.add_argument
    add("--seed", type=integer(0), default=DEFAULT_SEED, metavar="N", help=f"starting point (default {DEFAULT_SEED})")
    add("--epochs", type=integer(1, _MOST_EPOCHS), default=xor.EPOCHS, metavar="N",
        help=f"passes over the four rows (default {xor.EPOCHS})")  # fmt: skip
    rates = " and ".join(f"{system.learning_rate:g}" for system in xor.SYSTEMS.values())
    add("--learning-rate", type=positive, metavar="RATE", help=f"of both networks (default: their own, {rates})")
    add("--dtype", choices=["float64", "float32"], default="float64", help="default float64")
    add("--backend", choices=["both", "c", "numpy"], help="default both; with --starts, c")
    add("--starts", type=integer(1, _MOST_STARTS), metavar="N",
        help="train from N starting points (seeds SEED, SEED+1, ...) and count those that solve XOR")  # fmt: skip
    picture = command.add_mutually_exclusive_group()
    picture.add_argument("--picture", type=Path, metavar="PATH", help=f"where to (default {DEFAULT_PICTURE})")
    picture.add_argument("--no-picture", action="store_true", help="do not draw one")
    command.set_defaults(run=functools.partial(_run, command))


def _run(command: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    _check(command, options)
    return _starts(options) if options.starts else _compare(options)


def _check(command: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Checks what argparse cannot; ``command.error`` exits."""
    rate = options.learning_rate
    if rate is not None and not is_usable(rate, np.dtype(options.dtype)):
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


# ---- The two jobs ----------------------------------------------------------------------------------------------------


def _compare(options: argparse.Namespace) -> int:
    say(f"Two networks on XOR, trained by {_names(options.backends)}; {_settings(options)}")
    results = []
    for number, system in enumerate(xor.SYSTEMS.values(), 1):
        with ProgressLine(system.name) as progress:
            result = xor.train(
                system, options.seed, options.backends, options.epochs, options.learning_rate, options.dtype, repeats=5,
                progress=progress,
            )  # fmt: skip
        say(f"\n{number}. {xor_tables.report(result)}")
        results.append(result)
    checks = [result.check for result in results if result.check is not None]
    agree = all(check.agree for check in checks)
    say("")
    _explain(options, agree)
    status = _picture(options, results)
    return status if agree else 1


def _starts(options: argparse.Namespace) -> int:
    say(f"Two networks on XOR, trained by {_names(options.backends)}; {_settings(options)}")
    agree = True
    for number, system in enumerate(xor.SYSTEMS.values(), 1):
        rate = system.learning_rate if options.learning_rate is None else options.learning_rate
        say("\n".join(["", f"{number}. {xor_tables.describe(system, rate)}", ""]))
        with ProgressLine(system.name) as progress:
            starts = xor.train_starts(
                system, options.starts, options.seed, options.backends, options.epochs, options.learning_rate,
                options.dtype, progress,
            )  # fmt: skip
        say(xor_tables.report_starts(starts))
        agree = agree and starts.agree
    _explain(options, agree)
    return 0 if agree else 1


def _names(backends: Sequence[str]) -> str:
    return " and ".join(
        f"C ({native.isa()})" if backend == "c" else xor.BACKEND_TITLES[backend] for backend in backends
    )


def _settings(options: argparse.Namespace) -> str:
    seeds = f"seeds {options.seed}-{options.seed + options.starts - 1}" if options.starts else f"seed {options.seed}"
    return f"{seeds}, {options.dtype}"


def _explain(options: argparse.Namespace, agree: bool) -> None:
    """Explains what large learning rates do."""
    if len(options.backends) > 1 and options.learning_rate is not None and options.learning_rate > 1:
        verdict = "Agreement is luck." if agree else "Disagreement need not be the fault of either."
        say(
            "Note: with a learning rate above 1 training is chaotic: differences in the last\n"
            f"digit grow until the runs part. {verdict}"
        )


def _picture(options: argparse.Namespace, results: list[xor.Result]) -> int:
    if options.no_picture:
        return 0
    try:
        plot = _plot()
    except ValueError as error:
        say(f"No picture: {error}")
        return 0
    path = options.picture or DEFAULT_PICTURE
    try:
        plot.write_picture(results, path)
    except OSError as error:
        complain(f"no picture: {error}; --picture PATH puts it elsewhere", "xor")
        return 0 if options.picture is None else 1
    say(f"Picture: {path.resolve()}")
    return 0


def _plot() -> ModuleType:
    """The module that draws; ValueError if it cannot be imported."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(_NO_MATPLOTLIB)
    try:
        from ..tutorials import xor_plot
    except Exception as error:  # an incompatible installation, or bad settings
        raise ValueError(f"matplotlib cannot be imported: {' '.join(str(error).split())}") from error
    return xor_plot
