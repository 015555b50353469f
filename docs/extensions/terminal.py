"""
Directives for pages that are not Python: what they show is written to a folder, and run there, when the page is built.

    ```{file} app.c          ```{terminal}
    int main(void) {...}     cc -Iplainnet/csrc app.c plainnet/csrc/*.c -lm -lpthread -o app
    ```                      ./app
                             ```

Each page has a folder of its own, in which `plainnet` leads to the root of the sources, and `examples` to their
examples. A command that fails fails the build, unless the option `:status: 1` says that it has to end with this status.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
LANGUAGES = {".c": "c", ".csv": "text", ".h": "c", ".py": "python"}
TIMEOUT = 600  # seconds


def folder_of_page(env: Any) -> Path:
    """The folder of the page that is being read, which `remove_folder` removes."""
    if "terminal_folder" not in env.temp_data:
        folder = Path(tempfile.mkdtemp(prefix="plainnet-docs-"))
        for name, target in (("plainnet", ROOT), ("examples", ROOT / "examples")):
            (folder / name).symlink_to(target)
        env.temp_data["terminal_folder"] = str(folder)
    return Path(env.temp_data["terminal_folder"])


def remove_folder(app: Sphinx, _: object) -> None:
    if folder := app.env.temp_data.pop("terminal_folder", None):
        shutil.rmtree(folder)


class FileDirective(SphinxDirective):
    """Shows a file, and writes it."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if Path(name).name != name or Path(name).suffix not in LANGUAGES:
            raise self.error(f"file must be a name that ends with one of {', '.join(LANGUAGES)}, not {name!r}")
        text = "\n".join(self.content) + "\n"
        (folder_of_page(self.env) / name).write_text(text, encoding="utf-8")
        block = nodes.literal_block(text, text, language=LANGUAGES[Path(name).suffix])
        caption = nodes.caption("", "", nodes.literal("", name))
        return [nodes.container("", caption, block, classes=["literal-block-wrapper"], literal_block=True)]


class TerminalDirective(SphinxDirective):
    """Shows lines for the shell, runs them, and shows what they print."""

    has_content = True
    option_spec = {"status": directives.nonnegative_int}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        lines = "\n".join(self.content)
        folder = folder_of_page(self.env)
        scripts = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "HOME": str(folder)}
        done = subprocess.run(
            ["sh", "-ec", lines], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT,
        )  # fmt: skip
        if done.returncode != self.options.get("status", 0):
            raise self.error(f"exit status {done.returncode} of\n{lines}\n{done.stdout}")
        result: list[nodes.Node] = [nodes.literal_block(lines, lines, language="sh")]
        if output := done.stdout.replace(str(folder), "/home/you"):
            result.append(nodes.literal_block(output, output, language="text", classes=["output"]))
        return result


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("file", FileDirective)
    app.add_directive("terminal", TerminalDirective)
    app.connect("doctree-read", remove_folder)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
