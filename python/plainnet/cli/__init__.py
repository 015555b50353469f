"""The command line. Each command has a file of its own, with the same name."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..backend import DivergedError
from ..csv_table import TableError
from ..tensor_file import ModelFormatError
from . import export, info, playground, predict, train, xor
from .output import CommandError, complain

#: By name, in the order of the help.
COMMANDS = {"train": train, "predict": predict, "info": info, "export": export, "xor": xor, "playground": playground}


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
        0; 1 if data or a model cannot be used, the backends disagree, training diverges or the output cannot be
        written; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        With code 2 for bad options, and 0 for ``--help`` and ``--version``.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    try:
        try:
            options = _parser().parse_args(arguments)
            return int(options.run(options))
        finally:
            if sys.stdout is not None:  # after --help, too: at exit, a full disk would print a traceback
                sys.stdout.flush()
    except (CommandError, TableError, ModelFormatError, DivergedError, MemoryError) as error:
        complain(str(error) or "out of memory", command)
        return 1
    except KeyboardInterrupt:
        complain("interrupted", command)
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # whose cause is the reader, such as `head`
            complain(f"cannot write the output: {error.strerror or error}", command)
        with contextlib.suppress(OSError, AttributeError):  # the output may be no file
            output = sys.stdout.fileno()
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # discards what is still in the buffer
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("plainnet", description="Small and medium dense neural networks on a CPU.")
    parser.add_argument("--version", action="version", version=f"plainnet {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS.values():
        module.add_to(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """argparse ignores errors of writing; here it is an error if ``--help`` cannot be written."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not None and file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)
