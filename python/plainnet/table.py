"""What is known of the table that a network was trained with: its columns, their categories, and the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .conversion import shown


@dataclass(frozen=True)
class Column:
    """
    A column of a table.

    Attributes
    ----------
    name : str
    categories : tuple of str or None
        The texts that may stand in it, in the order of the network's inputs or outputs; None if it holds numbers.
    """

    name: str
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many inputs or outputs of a network it takes: one for each category, or one for a number."""
        return 1 if self.categories is None else len(self.categories)


@dataclass(frozen=True)
class Table:
    """
    How the columns of a table become the inputs of a network, and its outputs a column.

    A column of numbers is an input; one of text is an input for each of its categories, which is 1 where that stands
    in the row, and 0 elsewhere. If the target has categories, the network's outputs are their probabilities; otherwise
    its only output is the target.

    ``net.table`` is one, or None; ``net.save`` and ``pn.load`` keep it.

    Parameters
    ----------
    columns : sequence of Column
        At least one, in the order of the inputs.
    target : Column
        With two categories or more, or with None.

    Raises
    ------
    TypeError, ValueError
        If a name or a category is no text, is empty, or is there twice.
    """

    columns: tuple[Column, ...]
    target: Column

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if not self.columns:
            raise ValueError("a table must have at least one column besides the target")
        for column in (*self.columns, self.target):
            if not isinstance(column, Column):
                raise TypeError(f"a column must be a Column, not {shown(column)}")
        _check_texts("the names of columns", [*(column.name for column in self.columns), self.target.name])
        for column in (*self.columns, self.target):
            if column.categories is not None:
                _check_texts(f"the categories of column {shown(column.name)}", column.categories)
        if self.target.categories is not None and len(self.target.categories) < 2:
            raise ValueError(f"the target {shown(self.target.name)} must have at least two categories")

    def check_network(self, n_in: int, n_out: int) -> None:
        """Checks that a network has the inputs and outputs that the columns take."""
        for what, size, needed in (
            ("inputs", n_in, sum(column.width for column in self.columns)), ("outputs", n_out, self.target.width)
        ):  # fmt: skip
            if size != needed:
                raise ValueError(f"the columns of the table take {needed} {what}, but the network has {size}")

    # ---- As an entry of a description ------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """The table as what JSON has; docs/reference/model_files.md tells of it."""
        return {"columns": [_describe(column) for column in self.columns], "target": _describe(self.target)}

    @classmethod
    def restore(cls, value: Any) -> Table:
        """
        The table that :meth:`describe` has described.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, unknown or wrong.
        """
        if not isinstance(value, dict) or value.keys() != {"columns", "target"}:
            raise ValueError(f"it must be an object with the entries columns and target, not {shown(value)}")
        if not isinstance(value["columns"], list):
            raise ValueError(f"columns must be a list, not {shown(value['columns'])}")
        return cls(tuple(_restore(column) for column in value["columns"]), _restore(value["target"]))


def _describe(column: Column) -> dict[str, Any]:
    if column.categories is None:
        return {"name": column.name}
    return {"name": column.name, "categories": list(column.categories)}


def _restore(value: Any) -> Column:
    if not isinstance(value, dict) or value.keys() not in ({"name"}, {"name", "categories"}):
        raise ValueError(f"a column must be an object with a name and, if it is text, categories, not {shown(value)}")
    if "categories" not in value:
        return Column(value["name"])
    if not isinstance(value["categories"], list):
        raise ValueError(f"categories must be a list, not {shown(value['categories'])}")
    return Column(value["name"], tuple(value["categories"]))


def _check_texts(what: str, texts: Sequence[Any]) -> None:
    """Checks that there are `texts`, that none is empty, and that all are different."""
    if not texts:
        raise ValueError(f"{what} must not be none")
    seen = set()
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{what} must be strings, not {shown(text)}")
        if not text or text in seen:
            raise ValueError(f"{what} must {'all be different' if text else 'not be empty'}: {shown(text)}")
        text.encode()  # no half of a surrogate pair
        seen.add(text)
