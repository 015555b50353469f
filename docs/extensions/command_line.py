"""The directive command-line: the commands of plainnet and their options, from the parser that the program has."""

from __future__ import annotations

import argparse
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from plainnet import cli


def escaped(text: str) -> str:
    """`text` as reStructuredText that says the same; what stands in backquotes becomes code."""
    return re.sub(r"`([^`]+)`", r"``\1``", re.sub(r"([*_|\\])", r"\\\1", text))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as a block of code, whatever the terminal in which the pages are built."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)

    def names(self, action: argparse.Action) -> str:
        """The names of an option with its value, or the name of an argument that has a position."""
        return self._format_action_invocation(action)

    def help(self, action: argparse.Action) -> str:
        return self._expand_help(action) if action.help else ""


def page(parser: argparse.ArgumentParser) -> list[str]:
    """A command and its options, in reStructuredText."""
    formatter = _Formatter(parser.prog)
    parser.formatter_class = _Formatter
    usage = parser.format_usage().removeprefix("usage: ")
    lines = [parser.prog, "-" * len(parser.prog), "", f".. program:: {parser.prog}", "", ".. code-block:: text", ""]
    lines += [f"   {line}" for line in usage.splitlines()]
    lines += ["", *escaped(parser.description or "").splitlines(), ""]
    for action in parser._actions:
        lines += [f".. option:: {formatter.names(action)}", "", f"   {escaped(formatter.help(action))}", ""]
    return [*lines, *escaped(parser.epilog or "").splitlines(), ""]


class CommandLineDirective(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        commands = [action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)]
        parsers = list(commands[0].choices.values())
        return self.parse_text_to_nodes("\n".join(line for parser in parsers for line in page(parser)),
                                        allow_section_headings=True)  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-line", CommandLineDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
