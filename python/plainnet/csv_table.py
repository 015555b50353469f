"""
CSV files: their cells as text, with the line in which each row stands, and columns written as CSV.

pandas reads and writes them, which is optional (the extra `cli`).
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Array
from .conversion import shown

#: In the place of a file's name, it is standard input or output.
STANDARD = "-"

_BREAK = re.compile(r"\r\n|\r|\n")
_BLANK_LINES = re.compile(rb"(?:[ \t]*(?:\r\n|\r|\n))*")

#: What pandas says of a row that is too long, with its number, and of a quotation mark that opens a text to the end.
_TOO_LONG = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_OPEN_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


class TableError(ValueError):
    """A table cannot be used; the message names the file and, where there is one, the line and the column."""


@dataclass(frozen=True)
class CsvTable:
    """
    The cells of a CSV file.

    Attributes
    ----------
    name : str
        Of the file, for messages.
    columns : tuple of str
        Their names as they stand in the header, in which two may be the same.
    cells : list of list of str
        Of each column, without white space around them.
    lines : ndarray (n_rows,)
        The line of the file in which each row begins; the header stands in the first one, usually.
    header_line : int
    """

    name: str
    columns: tuple[str, ...]
    cells: list[list[str]]
    lines: Array
    header_line: int

    @property
    def n_rows(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[str]:
        """
        The cells of the column of this name.

        Raises
        ------
        TableError
            If there is none, or more than one.
        """
        places = [k for k, column in enumerate(self.columns) if column == name]
        if len(places) == 1:
            return self.cells[places[0]]
        if places:
            raise TableError(f"{self.name}, line {self.header_line}: {len(places)} columns have the name {name!r}")
        raise TableError(
            f"{self.name}, line {self.header_line}: there is no column {name!r}; there {_are(self.columns)}"
            f"{'' if len(self.columns) > 1 else '; cells must be separated by commas'}"
        )

    def error(self, row: int, column: str, problem: str) -> TableError:
        """The error of a cell, named by its line and column."""
        return TableError(f"{self.name}, line {self.lines[row]}, column {column!r}: {problem}")


def _are(columns: Sequence[str]) -> str:
    return f"{'is' if len(columns) == 1 else 'are'} {', '.join(map(repr, columns[:20]))}{', ...' * (len(columns) > 20)}"


def pandas() -> Any:
    """
    The module pandas.

    Raises
    ------
    ImportError
        That says how to get it.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "reading and writing CSV files needs pandas; get it with: pip install 'plainnet[cli]'"
        ) from error
    return pandas


# ---- Reading ---------------------------------------------------------------------------------------------------------


def read_csv(path: str) -> CsvTable:
    """
    Reads a CSV file in UTF-8, separated by commas, whose first line that is not blank has the columns' names.

    Blank lines are skipped.

    Parameters
    ----------
    path : str
        "-" is standard input.

    Raises
    ------
    TableError
        If the file cannot be opened, is not in UTF-8, has no header or no rows, or has a row with more cells than the
        header.
    ImportError
        Without pandas.
    """
    frames = pandas()
    name = "standard input" if path == STANDARD else path
    data = _read_bytes(path, name)
    blank = _BLANK_LINES.match(data)
    assert blank is not None  # it may be empty
    first = 1 + len(_BREAK.findall(blank.group().decode()))
    records = _records(frames, data[blank.end() :], name, first)
    lines = _lines(records, first, b'"' in data)
    records = [[cell.strip() for cell in column] for column in records]  # now that line breaks have been counted
    columns = tuple(column[0] for column in records)
    keep = _kept(data, records, lines)
    if not keep.any():
        raise TableError(f"{name}: it has a header, in line {first}, but no rows")
    cells = [[cell for cell, kept in zip(column[1:], keep.tolist()) if kept] for column in records]
    return CsvTable(name, columns, cells, lines[1:][keep], first)


def _read_bytes(path: str, name: str) -> bytes:
    """The content, checked to be UTF-8, without a byte order mark."""
    try:
        if path != STANDARD:
            with open(path, "rb") as file:
                data = file.read()
        elif sys.stdin is None:
            raise TableError("standard input is closed")
        else:
            data = sys.stdin.buffer.read()
    except OSError as error:
        raise TableError(f"cannot read {name}: {error.strerror or error}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError(f"{name}: it is in UTF-16; save it in UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if (zero := data.find(b"\0")) >= 0:
        raise TableError(f"{name}, line {_line_at(data, zero)}: there is a zero byte, so this is no CSV file")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise TableError(
            f"{name}, line {_line_at(data, error.start)}: the byte 0x{data[error.start]:02x} is not UTF-8; save the "
            "file in UTF-8"
        ) from None
    return data


def _line_at(data: bytes, place: int) -> int:
    return 1 + len(_BREAK.findall(data[:place].decode("latin-1")))


def _records(frames: Any, data: bytes, name: str, first: int) -> list[list[str]]:
    """The cells of each column, the header's first; empty cells at the end of a row may be left out."""

    def parsed(n_rows: int | None = None) -> Any:
        return frames.read_csv(
            io.BytesIO(data), header=None, dtype=object, na_filter=False, skip_blank_lines=False,
            skipinitialspace=True, low_memory=False, encoding="utf-8", nrows=n_rows,
        )  # fmt: skip

    def line_of(record: int) -> int:
        """The line of a record, counted from 0, which pandas cannot read, as it can those before."""
        before = _columns(parsed(record)) if record > 0 else [[]]
        return int(_lines([[*column, ""] for column in before], first, True)[-1])

    try:
        return _columns(parsed())
    except frames.errors.EmptyDataError:
        raise TableError(f"{name}: it is empty; the first line must have the names of the columns") from None
    except frames.errors.ParserError as error:
        reason = str(error).strip()
        if (match := _TOO_LONG.search(reason)) is not None:
            expected, record, found = map(int, match.groups())
            separated = "cells must be separated by commas, and " if expected == 1 else ""
            raise TableError(
                f"{name}, line {line_of(record - 1)}: it has {found} cells, but the header has {expected}; {separated}"
                "a text that holds a comma must stand in quotation marks"
            ) from None
        if (match := _OPEN_QUOTE.search(reason)) is not None:
            line = line_of(int(match.group(1)))
            raise TableError(f"{name}, line {line}: a quotation mark is opened and not closed") from None
        raise TableError(f"{name}: it cannot be read as CSV: {shown(reason)}") from None


def _columns(frame: Any) -> list[list[str]]:
    return [frame[label].tolist() for label in frame.columns]


def _lines(records: list[list[str]], first: int, may_break: bool) -> Array:
    """The line in which each record begins; a text in quotation marks may go over several."""
    lines = np.arange(first, first + len(records[0]))
    if may_break:
        breaks = np.zeros(len(lines), int)
        for column in records:
            breaks += [len(_BREAK.findall(cell)) if "\n" in cell or "\r" in cell else 0 for cell in column]
        lines[1:] += np.cumsum(breaks)[:-1]
    return lines


def _kept(data: bytes, records: list[list[str]], lines: Array) -> Array:
    """Which records after the header are no blank lines; in a single column, only those at the end are blank."""
    is_empty = np.ones(len(lines) - 1, bool)
    for column in records:
        is_empty &= np.array([not cell for cell in column[1:]], bool)
    if not is_empty.any():
        return ~is_empty
    if len(records) == 1:
        last = np.flatnonzero(~is_empty).max(initial=-1)
        return np.asarray(np.arange(len(is_empty)) <= last)
    text = _BREAK.split(data.decode())  # to tell a blank line from one that has commas alone
    return np.array([not empty or bool(text[line - 1].strip()) for empty, line in zip(is_empty, lines[1:])], bool)


# ---- Writing ---------------------------------------------------------------------------------------------------------


def as_csv(columns: Sequence[tuple[str, Any]]) -> bytes:
    """Columns, as pairs of a name and values, as CSV in UTF-8; numbers are written so that they can be read back."""
    frames = pandas()
    frame = frames.concat([frames.Series(values) for _, values in columns], axis=1)
    frame.columns = [name for name, _ in columns]
    return bytes(frame.to_csv(index=False, lineterminator="\n").encode())
