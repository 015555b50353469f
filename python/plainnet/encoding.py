"""From the cells of a table to the numbers of a network, and from its outputs to a column."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from .arrays import FLOAT64, Array
from .conversion import shown
from .csv_table import CsvTable, TableError
from .table import Column, Table

#: What a cell holds where a value is missing, as others write it.
MISSING = {"", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"}

#: With more, text is no kind of thing, but a name or a note of each row.
MAX_CATEGORIES = 1000

#: A target of whole numbers with more different ones is a quantity.
MAX_INTEGER_CLASSES = 20

_MOST_SHOWN = 10

#: In a table of fewer rows, text may differ in each of them by chance.
_LEAST_NAMED = 10


def as_number(text: str) -> float:
    """The number that `text` spells, or NaN."""
    try:
        return math.nan if "_" in text else float(text)  # Python's own 1_000 is no number in a table
    except ValueError:
        return math.nan


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether most of the cells that are not missing are numbers: the others are mistakes then."""
    present = [cell for cell in cells if cell not in MISSING]
    return 2 * sum(not math.isnan(as_number(cell)) for cell in present) > len(present)


# ---- The columns of a table for training -----------------------------------------------------------------------------


def input_columns(table: CsvTable, target: str, text: Collection[str], ignored: Collection[str]) -> list[Column]:
    """
    The columns of `table`, but for the target and those `ignored`, with their categories.

    A column is of numbers if most of its cells are, and it is not one of `text`.

    Raises
    ------
    TableError
        If a column has no name, or the name of another one, if a value is missing, or if text has too many categories.
    """
    for name in (*text, *ignored):
        table.column(name)
    columns = []
    for k, name in enumerate(table.columns):
        if not name and name not in ignored:
            raise TableError(
                f"{table.name}, line {table.header_line}: column {k + 1} has no name (pandas writes such a one unless "
                "it is told to_csv(index=False)); train leaves it out with --ignore ''"
            )
        if name != target and name not in ignored:
            cells = table.column(name)
            is_text = name in text or not is_numeric(cells)
            if is_text and name not in text:
                _refuse_commas(table, name, cells, f"--text {name!r} takes the column as text")
                _refuse_names(table, name, cells)
            columns.append(Column(name, _categories(table, name, cells) if is_text else None))
    return columns


def target_column(table: CsvTable, name: str, task: str | None) -> tuple[Column, str]:
    """
    The target, with its classes if the task is classification, and why it is that.

    Parameters
    ----------
    task : {"classification", "regression"}, optional
        By default classification where the target is text, or whole numbers of which at most `MAX_INTEGER_CLASSES` are
        different, and each stands in two rows on average; and otherwise regression.
    """
    cells = table.column(name)
    if task == "regression":
        return Column(name), "as --task says"
    names = _class_names(table, name, cells)
    if not is_numeric(cells):
        if task is None:
            _refuse_commas(table, name, cells, "--task classification takes the column as names of classes")
        return Column(name, _categories(table, name, names)), "as --task says" if task else f"as {name!r} is text"
    classes = tuple(sorted(set(names), key=lambda text: (float(text), text)))
    if task == "classification":
        _check_number(table, name, len(classes))
        return Column(name, classes), "as --task says"
    whole = all(float(text) == math.floor(float(text)) for text in classes)
    if whole and len(classes) <= min(MAX_INTEGER_CLASSES, len(cells) // 2):
        return Column(name, classes), f"as {name!r} holds whole numbers, of which {len(classes)} are different"
    return Column(name), f"as {name!r} holds {len(classes)} different numbers"


def _refuse_commas(table: CsvTable, name: str, cells: Sequence[str], remedy: str) -> None:
    """Checks that the cells of a column that is no column of numbers would not be one if it were not for commas."""
    if is_numeric([cell.replace(",", "") for cell in cells]):
        row = next(k for k, cell in enumerate(cells) if "," in cell)
        raise table.error(
            row, name, f"{shown(cells[row])} is not a number, which has a decimal point and no comma; {remedy}"
        )


def _refuse_names(table: CsvTable, name: str, cells: Sequence[str]) -> None:
    """Checks that a column does not name each row, as an identifier or a date does: it tells nothing of other rows."""
    if len(cells) >= _LEAST_NAMED and len(set(cells)) == len(cells):
        raise TableError(
            f"{table.name}, column {name!r}: its text is different in each row, as {shown(cells[0])} and "
            f"{shown(cells[1])}, and so tells nothing of other rows; train leaves the column out with --ignore "
            f"{name!r}, or takes it all the same with --text {name!r}"
        )


def _class_names(table: CsvTable, name: str, cells: Sequence[str]) -> Sequence[str]:
    """The cells of a target as names of classes, where 1, 01 and 1.0 are the same."""
    if not is_numeric(cells):
        return cells
    numbers = _numbers(table, name, cells, FLOAT64)
    if (np.abs(numbers) >= 2**53).any():  # different numbers may have become equal
        return cells
    return [str(int(number)) if number == math.floor(number) else repr(number) for number in numbers.tolist()]


def _categories(table: CsvTable, name: str, cells: Sequence[str]) -> tuple[str, ...]:
    """The different texts of a column, in alphabetical order."""
    different = set(cells)
    if different & MISSING:
        _refuse_missing(table, name, cells)
    _check_number(table, name, len(different))
    return tuple(sorted(different))


def _check_number(table: CsvTable, name: str, number: int) -> None:
    """Checks that a column does not have too many categories."""
    if number > MAX_CATEGORIES:
        raise TableError(
            f"{table.name}, column {name!r}: it has {number} different values, and there may be at most "
            f"{MAX_CATEGORIES} categories; train leaves a column out with --ignore {name!r}"
        )


# ---- Numbers ---------------------------------------------------------------------------------------------------------


def encode_inputs(table: CsvTable, columns: Sequence[Column], dtype: np.dtype[Any]) -> Array:
    """
    The inputs (n_rows, n_in) of a network of `dtype`, in float64.

    Raises
    ------
    TableError
        Naming the line and the column, if a value is missing, is no number, is not finite in `dtype`, or is an unknown
        category, or if there is no such column.
    """
    x = np.zeros((table.n_rows, sum(column.width for column in columns)))
    start = 0
    for column in columns:
        cells = table.column(column.name)
        if column.categories is None:
            x[:, start] = _numbers(table, column.name, cells, dtype)
        else:
            x[np.arange(len(x)), start + _labels(table, column, cells)] = 1
        start += column.width
    return x


def encode_target(table: CsvTable, target: Column, dtype: np.dtype[Any]) -> Array:
    """The targets (n_rows,) of a network of `dtype`: numbers of classes, or numbers in float64."""
    cells = table.column(target.name)
    if target.categories is None:
        return _numbers(table, target.name, cells, dtype)
    return _labels(table, target, _class_names(table, target.name, cells))


def _numbers(table: CsvTable, name: str, cells: Sequence[str], dtype: np.dtype[Any]) -> Array:
    numbers = np.array([as_number(cell) for cell in cells])
    limit = float(np.finfo(dtype).max)
    wrong = np.flatnonzero(~(np.abs(numbers) <= limit))
    if len(wrong) > 0:
        row = int(wrong[0])
        cell = cells[row]
        if cell in MISSING:
            _refuse_missing(table, name, cells)
        if math.isnan(numbers[row]):
            hint = "; a decimal comma must become a point" if math.isfinite(as_number(cell.replace(",", "."))) else ""
            others = ", as the column's others are" if is_numeric(cells) else ""
            raise table.error(row, name, f"{shown(cell)} is not a number{others}{hint}")
        raise table.error(row, name, f"{shown(cell)} is not a finite number in {dtype}")
    return numbers


def _labels(table: CsvTable, column: Column, cells: Sequence[str]) -> Array:
    """The number of each cell's category."""
    assert column.categories is not None
    numbers = {category: k for k, category in enumerate(column.categories)}
    labels = np.array([numbers.get(cell, -1) for cell in cells])
    unknown = np.flatnonzero(labels < 0)
    if len(unknown) > 0:
        row = int(unknown[0])
        if cells[row] in MISSING:
            _refuse_missing(table, column.name, cells)
        known = ", ".join(map(shown, column.categories[:_MOST_SHOWN]))
        more = f" and {len(numbers) - _MOST_SHOWN} others" if len(numbers) > _MOST_SHOWN else ""
        raise table.error(row, column.name, f"the category {shown(cells[row])} is unknown; known are {known}{more}")
    return labels


def _refuse_missing(table: CsvTable, name: str, cells: Sequence[str]) -> None:
    row = next(k for k, cell in enumerate(cells) if cell in MISSING)
    found = f", as {shown(cells[row])} says" if cells[row] else ""
    raise table.error(row, name, f"the value is missing{found}; fill it in, or leave the row out")


# ---- And back --------------------------------------------------------------------------------------------------------


def decode_predictions(table: Table, outputs: Array, probabilities: bool) -> list[tuple[str, Any]]:
    """
    The outputs (n_rows, n_out) of a network as columns: the target and, if asked for, the probability of each class.

    Returns
    -------
    list of (str, sequence)
        Names and values.
    """
    target = table.target
    if target.categories is None:
        return [(target.name, outputs[:, 0])]
    classes = [target.categories[k] for k in outputs.argmax(axis=1).tolist()]
    columns: list[tuple[str, Any]] = [(target.name, classes)]
    if probabilities:
        columns += [(f"P({category})", outputs[:, k]) for k, category in enumerate(target.categories)]
    return columns
