"""``plainnet export``: a network from a model file as source code in C."""

from __future__ import annotations

import argparse
import functools
import os
from typing import Any

from ..exchange.c_file import as_c_name
from ..exchange.c_source import stack_bytes
from .options import check_output, model_file
from .output import CommandError, say_facts, say_path
from .predict import load_model
from .results import shape

_DESCRIPTION = """\
Writes a network as one file of C, which predicts without plainnet: it needs no
library but that of C, allocates nothing and keeps no state."""

_EPILOG = """\
The file says what its function reads and writes, and how exact it is. The
network takes numbers: `plainnet info MODEL` lists the columns of the table that
they come from, in their order.

exit status: 0; 1 if the model cannot be read or the file cannot be written;
2 for bad options."""


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
    command.set_defaults(run=functools.partial(_run, command))


def _name(text: str) -> str:
    """An argparse type: an identifier of C."""
    try:
        return as_c_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(command: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    check_output(command, options.c, [options.model], "--c")
    network = load_model(options.model)
    try:
        network.to_c(options.c, options.name, options.batch)
    except OSError as error:
        raise CommandError(f"cannot write {options.c}: {error.strerror or error}") from None
    functions = [f"{options.name}_predict", *([f"{options.name}_predict_batch"] if options.batch else [])]
    n_bytes = network.parameters.nbytes
    say_facts([
        ("Network", shape(network)),
        ("In C", f"{' and '.join(functions)}, {network.dtype.name}: {n_bytes} bytes of constants, "
                 f"{stack_bytes(network)} bytes of results in between on the stack"),
    ])  # fmt: skip
    say_path("Written", os.path.abspath(options.c))
    return 0
