"""Tables that cells of the pages show."""

from __future__ import annotations

from collections.abc import Sequence


class Table:
    """
    What a cell of a page shows: a table.

    Parameters
    ----------
    head : sequence of str
        Texts in Markdown, as are all cells.
    rows : sequence of sequences
        As long as the head; columns but the first are aligned right.
    """

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        if any(len(row) != len(head) for row in rows):
            raise ValueError(f"each row must have {len(head)} cells, as the head has")
        self.rows = [[str(cell) for cell in row] for row in [head, *rows]]

    def _repr_markdown_(self) -> str:
        head, *rows = ["| " + " | ".join(row) + " |" for row in self.rows]
        rule = "|" + "|".join(["---", *["---:"] * (len(self.rows[0]) - 1)]) + "|"
        return "\n".join([head, rule, *rows])

    def __repr__(self) -> str:
        return "\n".join("  ".join(row) for row in self.rows)
