"""``plainnet playground``: the page in which networks are trained in a browser."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path
from typing import Any

from .output import CommandError, say

#: The page, which playground/build.py makes.
PAGE = Path(__file__).resolve().parents[1] / "playground" / "index.html"

_DESCRIPTION = """\
Opens the playground in a browser: a page in which small networks are trained
by the C kernels of this package, compiled to WebAssembly, and show their
numbers. It is one file, and asks nothing of any server. Its path is printed."""

_EPILOG = """\
exit status: 0; 1 if no browser can be opened, or the page is not there; 2 for
bad options."""


def add_to(commands: Any) -> None:
    """Adds the command to argparse's `commands`; ``options.run(options)`` runs it."""
    command = commands.add_parser(
        "playground", help="train networks in a browser, and see their numbers",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("--path", action="store_true", help="only print where the page is")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not PAGE.is_file():
        raise CommandError(f"the page is missing: {PAGE}; python playground/build.py makes it")
    say(str(PAGE))
    if not options.path and not webbrowser.open(PAGE.as_uri()):
        raise CommandError("no browser can be opened here; open the file in one")
    return 0
