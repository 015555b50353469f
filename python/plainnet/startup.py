"""What happens if the package cannot be imported: an exception in a program, one line from the command line."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn


def is_command() -> bool:
    """Whether this is ``plainnet ...`` or ``python -m plainnet ...``, even while Python still looks for the module."""
    arguments = getattr(sys, "argv", [])
    if arguments[:1] == ["-m"]:
        return "plainnet" in sys.orig_argv or "-mplainnet" in sys.orig_argv
    return bool(arguments) and os.path.splitext(os.path.basename(arguments[0]))[0] == "plainnet"


def give_up(error: ValueError | KeyboardInterrupt) -> NoReturn:
    """Exits with a line on standard error: status 2 for an unusable environment variable, 130 after Ctrl-C."""
    interrupted = isinstance(error, KeyboardInterrupt)
    with contextlib.suppress(OSError):
        print(f"plainnet: {'interrupted' if interrupted else error}", file=sys.stderr, flush=True)
    raise SystemExit(130 if interrupted else 2) from None
