"""``plainnet export``: a network from a model file as source code in C."""

from __future__ import annotations

import argparse
import functools
import os
from typing import Any

import numpy as np

from ..arrays import Array
from ..csv_table import STANDARD, read_csv
from ..encoding import encode_inputs
from ..exchange.c_file import CExport, as_c_name
from ..exchange.c_self_test import MOST_ROWS
from ..network import Network
from .options import check_output, model_file
from .output import CommandError, say_facts, say_path
from .predict import load_model
from .results import shape

_DESCRIPTION = """\
Writes a network as one file of C, which predicts without plainnet: it needs no
library but that of C, allocates nothing and keeps no state."""

_EPILOG = f"""\
The file says what its function reads and writes, and how exact it is. The
network takes numbers: `plainnet info MODEL` lists the columns of the table that
they come from, in their order.

Tables are for networks that `plainnet train` has written, and need the columns
that these were trained with; others are ignored. --self-test keeps at most
{MOST_ROWS} rows, spread evenly over the table.

exit status: 0; 1 if the model or a table cannot be used or the file cannot be
written; 2 for bad options."""


def add_to(commands: Any) -> None:
    """Adds the command to argparse's `commands`; ``options.run(options)`` runs it."""
    command = commands.add_parser(
        "export", help="write the network in a model file as C",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("model", type=model_file, metavar="MODEL", help="a file from plainnet train or net.save")
    command.add_argument("--c", required=True, metavar="FILE.c", help="the file to write")
    command.add_argument("--name", type=_name, default="model",
                         help="what the names of its functions begin with (default model)")  # fmt: skip
    command.add_argument("--batch", action="store_true", help="with a function for many rows, as well")
    command.add_argument("--int8", metavar="DATA.csv",
                         help="with weights of a byte each, rounded for the rows of this table, training data for "
                              "instance; says how far the predictions for these are off")  # fmt: skip
    command.add_argument("--self-test", metavar="DATA.csv",
                         help="with a main that checks the predictions for rows of this table, if the file is "
                              "compiled with -DNAME_SELF_TEST")  # fmt: skip
    command.set_defaults(run=functools.partial(_run, command))


def _name(text: str) -> str:
    """An argparse type: an identifier of C."""
    try:
        return as_c_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(command: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    tables = [path for path in (options.int8, options.self_test) if path is not None]
    if tables == [STANDARD, STANDARD]:
        command.error("arguments --int8 and --self-test: standard input can be read once")
    check_output(command, options.c, [options.model, *tables], "--c")
    network = load_model(options.model)
    calibration = None if options.int8 is None else _rows(options.int8, network, options.model)
    tested = None if options.self_test is None else _rows(options.self_test, network, options.model)
    kept = None if tested is None else tested[_spread(len(tested))]
    weights = "exact" if calibration is None else "int8"
    try:
        written = network.to_c(options.c, options.name, options.batch, kept, weights, calibration)
    except OSError as error:
        raise CommandError(f"cannot write {options.c}: {error.strerror or error}") from None
    except ValueError as error:
        raise CommandError(str(error)) from None
    _say(options, network, written)
    if tested is not None and kept is not None:
        say_facts([("Self-test", f"{len(kept)} of {len(tested)} rows, with -D{options.name.upper()}_SELF_TEST")])
    say_path("Written", os.path.abspath(options.c))
    return 0


def _rows(path: str, network: Network, model: str) -> Array:
    """The rows of a table as inputs of the network from the file `model`."""
    if network.table is None:
        raise CommandError(
            f"{model}: it does not tell which columns its inputs are, as plainnet train has not written it; in Python, "
            "pn.load and net.to_c take rows"
        )
    try:
        return encode_inputs(read_csv(path), network.table.columns, network.dtype)
    except ImportError as error:
        raise CommandError(str(error)) from None


def _spread(n_rows: int) -> Array:
    """The numbers of at most `MOST_ROWS` of so many rows, with the first and the last one."""
    rows: Array = np.linspace(0, n_rows - 1, min(n_rows, MOST_ROWS)).round().astype(int)
    return rows


def _say(options: argparse.Namespace, network: Network, written: CExport) -> None:
    functions = [f"{options.name}_predict", *([f"{options.name}_predict_batch"] if options.batch else [])]
    weights = "" if written.loss is None else " with int8 weights"
    facts = [
        ("Network", shape(network)),
        ("In C", f"{' and '.join(functions)}, {network.dtype.name}{weights}: {written.constants_bytes} bytes of "
                 f"constants, {written.stack_bytes} bytes of results in between on the stack"),
    ]  # fmt: skip
    if written.loss is not None:
        facts.append(("int8", str(written.loss)))
    say_facts(facts)
