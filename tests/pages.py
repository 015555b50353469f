"""The pages of docs/, and the code in them, without Sphinx, which runs it as well when the pages are built."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def text(page):
    """The text of a page, by its path in docs/."""
    return (DOCS / page).read_text()


def block(page, directive, after=""):
    """The first block of a directive such as ``{file} app.c``, or of a language, after a comment, without options."""
    after = f"<!-- {after} -->\n" if after else ""
    found = re.search(rf"{after}```{re.escape(directive)}\n(?::\w+:[^\n]*\n)*(.*?)```", text(page), flags=re.DOTALL)
    assert found, f"{page} has no such block"
    return found.group(1)


def cells(page):
    """The code of each cell that runs when the page is built."""
    cell = r"^```\{code-cell\}[^\n]*\n((?::\w+:[^\n]*\n)*)(.*?)^```"
    found = re.findall(cell, text(page), flags=re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no cells"
    return [code.lstrip("\n") for options, code in found if "raises-exception" not in options]


def run(page, folder, first=0, last=None):
    """What the cells of a page print, as one program in a folder of its own; a warning is an error."""
    program = "\n".join(cells(page)[first:last])
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": os.pathsep.join([str(DOCS), *paths()])}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=folder, timeout=600,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def paths():
    """What stands in PYTHONPATH already."""
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
