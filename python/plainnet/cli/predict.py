"""``plainnet predict``: what a network from a model file predicts for the rows of a CSV file."""

from __future__ import annotations

import argparse
import functools
import sys
from typing import Any

from ..atomic import write_atomically
from ..csv_table import STANDARD, as_csv, read_csv
from ..encoding import decode_predictions, encode_inputs
from ..files import load
from ..network import Network
from .options import check_output, model_file
from .output import CommandError

_DESCRIPTION = """\
Predicts the target for each row of a table in a CSV file, with a network that
`plainnet train` has written, and writes the predictions as CSV."""

_EPILOG = """\
Columns are found by their names: they may stand in any order, and others are
ignored. The output has a line for each row, and the name of the target as its
header; --probabilities adds a column P(CLASS) for each class.

exit status: 0; 1 if the model or the data cannot be used or the output cannot
be written; 2 for bad options; 130 after Ctrl-C."""


def add_to(commands: Any) -> None:
    """Adds the command to argparse's `commands`; ``options.run(options)`` runs it."""
    command = commands.add_parser(
        "predict", help="predict the target for the rows of a CSV file",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("model", type=model_file, metavar="MODEL", help="the file that plainnet train has written")
    command.add_argument("data", metavar="DATA.csv", help="the table; - is standard input")
    command.add_argument("-o", "--output", default=STANDARD, metavar="OUT.csv",
                         help="the file to write (default -, standard output)")  # fmt: skip
    command.add_argument("--probabilities", action="store_true", help="of each class, as well")
    command.set_defaults(run=functools.partial(_run, command))


def _run(command: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.output != STANDARD:
        check_output(command, options.output, [options.model, options.data])
    network = load_model(options.model)
    table = network.table
    if table is None:
        raise CommandError(
            f"{options.model}: it does not tell which columns its inputs are, as plainnet train has not written it; "
            "pn.load and net.predict use it in Python"
        )
    if options.probabilities and table.target.categories is None:
        raise CommandError(f"--probabilities is for classes, and {table.target.name!r} is a number")
    try:
        csv = read_csv(options.data)
        x = encode_inputs(csv, table.columns, network.dtype)
        text = as_csv(decode_predictions(table, network.predict(x), options.probabilities))
    except ImportError as error:
        raise CommandError(str(error)) from None
    _write(options.output, text)
    return 0


def load_model(path: str) -> Network:
    """The network from a model file; an error says that it cannot be read."""
    try:
        return load(path)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from None


def _write(path: str, text: bytes) -> None:
    if path != STANDARD:
        try:
            write_atomically(path, text)
        except OSError as error:
            raise CommandError(f"cannot write {path}: {error.strerror or error}") from None
    elif sys.stdout is None:
        raise CommandError("cannot write the output: standard output is closed")
    else:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
