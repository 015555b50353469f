"""Checks of rows that a C file is written with: for its self-test, and for rounding its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Array, as_native, check_rows
from ..conversion import position
from ..network import Network


def as_rows(name: str, value: npt.ArrayLike, network: Network) -> Array:
    """
    `value` as inputs (n_rows, n_in) of `network`.

    Raises
    ------
    TypeError, ValueError
        Naming it, if it is no such array of at least one row, or if a number is not finite.
    """
    x = as_native(name, value, network.dtype)
    check_rows(name, x, network.layers[0].n_in, f"the first layer has n_in = {network.layers[0].n_in}")
    check_finite(x, f"{name} holds {{number}} ({{position}}); its numbers must be finite")
    return x


def check_finite(array: Array, message: str) -> None:
    """Checks that all numbers are finite; `message` has places for the ``number`` that is not, and its ``position``."""
    finite = np.isfinite(array)
    if not finite.all():
        index: tuple[Any, ...] = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(message.format(number=array[index], position=position(index)))
