"""
Conversion of what a user passes to an array of numbers: nested lists, arrays of any kind, data frames.

This module imports NumPy alone. It recognises objects of other libraries by their attributes.
"""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

_ALLOWED = "allowed are real numbers (bool, integers, floats) in an array or in nested lists"
_REAL = "biuf"  # kinds of dtype
_MOST_LEVELS = 8  # of nested lists
_PYTHON_NUMBERS = {bool, int, float}
_NUMBERS = bool, int, float, np.bool_, np.integer, np.floating

#: What conversions raise. It is not Exception, as a signal handler may raise anything at any time.
REFUSALS = (
    TypeError, ValueError, RuntimeError, AttributeError, LookupError, ArithmeticError, BufferError, SyntaxError, Warning
)  # fmt: skip


def as_numbers(name: str, value: npt.ArrayLike) -> Array:
    """`value` as an array of real numbers (bool, integer or float) in any layout."""
    if type(value) is np.ndarray and value.dtype.kind in _REAL:
        return value
    if _holds_mask(value):
        where = "is" if isinstance(value, np.ma.MaskedArray) else "holds"
        raise TypeError(f"{name} {where} a masked array: fill or drop the masked entries first")
    if not isinstance(value, (list, tuple, np.ndarray)):
        columns = _columns(value)
        if columns is not None:
            arrays = [_column(f"{name}'s column {label!r}", column) for label, column in columns]
            return np.column_stack(arrays) if arrays else np.empty((len(value), 0))  # type: ignore[arg-type]
        if _is_column(value):
            return _column(name, value)
    try:
        array = np.asarray(value)
    except MemoryError:
        raise MemoryError(f"no memory for {name} as an array: hand it over in parts, or with fewer rows") from None
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    except REFUSALS as error:
        reason = _way_out(name, value) or f"cannot become a NumPy array: {error}"
        raise TypeError(f"{name} is of type {_type(value)}, which {reason}") from None
    if array.dtype.kind not in _REAL:
        raise TypeError(_why_no_numbers(name, value, array))
    return array


def shown(value: object) -> str:
    """`value` in a message: its repr on one line, shortened where it is long."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except REFUSALS:  # an integer of thousands of digits has no repr, and that of other objects may raise
        return f"<{_type(value)}>"


_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 60


def position(index: tuple[Any, ...]) -> str:
    """The position of an entry in an array: ``row 2, column 1``."""
    if len(index) == 2:
        return f"row {index[0]}, column {index[1]}"
    return f"entry {', '.join(map(str, index))}" if index else "the only entry"


def _type(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _holds_mask(value: object) -> bool:
    """Whether `value` is a masked array, or nested lists that hold one: NumPy would drop the mask."""
    if not isinstance(value, (list, tuple)):
        return isinstance(value, np.ma.MaskedArray)
    level: list[Any] = [value]
    for _ in range(_MOST_LEVELS):  # bounded, as a list may hold itself
        kinds = set(map(type, itertools.chain.from_iterable(level)))
        if kinds <= _PYTHON_NUMBERS:
            return False
        if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
            return True
        level = [item for items in level for item in items if isinstance(item, (list, tuple))]
    return False


# ---- Data frames and their columns: of pandas, polars, and libraries with the same methods ---------------------------


def _columns(value: object) -> list[tuple[Any, Any]] | None:
    """The columns of a data frame with their names; None if `value` is something else."""
    kind = type(value)  # of an object, the names of rows and columns are attributes as well
    if hasattr(kind, "columns") and hasattr(kind, "to_numpy"):
        frame: Any = value
        if hasattr(kind, "iter_columns"):  # polars
            return [(column.name, column) for column in frame.iter_columns()]
        if hasattr(kind, "items"):  # pandas
            return list(frame.items())
    return None


def _is_column(value: object) -> bool:
    kind = type(value)
    return all(hasattr(kind, name) for name in ("dtype", "to_numpy")) and _missing_values(value) is not None


def _missing_values(column: Any) -> Any:
    """The method that says which values are missing."""
    return getattr(column, "isna", None) or getattr(column, "is_null", None)


def _column(name: str, column: Any) -> Array:
    """
    The numbers of one column of a data frame.

    A dtype that allows missing values (pandas' ``Int64``, all of polars') is fine if none is missing. NaN is a number.
    """
    array = np.asarray(column)
    is_object = array.dtype.kind == "O"
    missing = np.zeros(array.shape, bool)
    if not isinstance(column.dtype, np.dtype):
        missing |= np.asarray(_missing_values(column)(), bool)
    if not (all(isinstance(item, _NUMBERS) for item in array[~missing]) if is_object else array.dtype.kind in _REAL):
        raise TypeError(f"{name} has dtype {column.dtype}: leave it out, or turn it into numbers; {_ALLOWED}")
    if missing.any():
        raise ValueError(f"{name} has no value in row {np.argmax(missing)}: fill or drop missing values first")
    if is_object and isinstance(column.dtype, np.dtype):
        raise TypeError(f"{name} has dtype object: .to_numpy(float) makes numbers of it; {_ALLOWED}")
    return array.astype(np.float64) if is_object else array


# ---- Why something holds no numbers ----------------------------------------------------------------------------------


def _why_no_numbers(name: str, value: object, array: Array) -> str:
    if value is None:
        return f"{name} is None; {_ALLOWED}"
    if isinstance(value, str | bytes):
        return f"{name} is {shown(value)}; {_ALLOWED}"
    if array.dtype != object:
        return f"{name} has dtype {array.dtype}; {_ALLOWED}"
    if array.ndim == 0 and not isinstance(value, np.ndarray | int):
        reason = _way_out(name, value)
        if reason is None and isinstance(value, Iterable):
            reason = f"is no array: list({name}) makes one of what it yields"
        return f"{name} is of type {_type(value)}" + (f", which {reason}" if reason else f"; {_ALLOWED}")
    for index, item in np.ndenumerate(array):
        if not isinstance(item, _NUMBERS):
            return f"{name} has dtype object, as it holds {shown(item)} ({position(index)}); {_ALLOWED}"
        if isinstance(item, int) and not -(2**63) <= item < 2**64:
            return f"{name} has dtype object, as {shown(item)} has more than 64 bits: as a float it is fine; {_ALLOWED}"
    return f"{name} has dtype object: {name}.astype(float) makes numbers of it; {_ALLOWED}"


def _way_out(name: str, value: object) -> str | None:
    """How to turn `value` into an array, as the end of a message; None if that is not known."""
    if hasattr(value, "toarray"):  # SciPy
        return f"is sparse: {name}.toarray() is the array"
    if getattr(value, "requires_grad", False) is True and hasattr(value, "detach"):  # PyTorch
        return f"requires a gradient: {name}.detach() does not"
    if hasattr(value, "collect"):  # lazy frames
        return f"holds no values yet: {name}.collect() computes them"
    if isinstance(value, Mapping):
        return f"is no array: np.column_stack(list({name}.values())) makes one of columns of equal length"
    if isinstance(value, Set):
        return "has no order: make a list with the order that is meant"
    return None


def as_switch(name: str, value: Any) -> bool:
    """`value` as a bool, which it must be, of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {shown(value)}")
    return bool(value)
