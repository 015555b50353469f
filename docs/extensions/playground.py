"""Puts the playground, a page of the package, beside the pages of the documentation, which frame it."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def copy_page(app: Sphinx) -> None:
    folder = Path(app.outdir) / "playground"
    folder.mkdir(parents=True, exist_ok=True)
    with as_file(files("plainnet") / "playground" / "index.html") as page:
        shutil.copy(page, folder / "index.html")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", copy_page)
    return {"parallel_read_safe": True}
