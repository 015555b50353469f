"""Puts what a script has measured into a page: a passage between two comments of Markdown."""

from __future__ import annotations

from pathlib import Path


def replace_passage(path: Path, name: str, text: str) -> None:
    """
    Replaces what stands between ``<!-- begin name -->`` and ``<!-- end name -->``, which stay.

    Raises
    ------
    ValueError
        If the page does not have each of these comments once, the first one first; it stays as it is.
    """
    page = path.read_text()
    marks = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    before, *rest = page.split(marks[0])
    after = rest[0].split(marks[1]) if len(rest) == 1 else []
    if len(after) != 2:
        raise ValueError(f"{path} must have {marks[0].strip()} and {marks[1].strip()}, once and in this order")
    path.write_text(before + marks[0] + text.rstrip() + "\n" + marks[1] + after[1])
