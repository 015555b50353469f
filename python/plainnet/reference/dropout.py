"""
Dropout: which elements are kept.

That is a function of a key, the row and the column alone, so nothing is stored, and a run repeats however it is cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from .rows import GOLDEN, key_of, mix


class StepNumber(NamedTuple):
    """The step whose masks are meant: the network's seed, and the numbers of the epoch and of the optimizer's step."""

    seed: int
    epoch: int
    step: int


def dropout_key(seed: int, epoch: int, step: int, layer: int) -> np.uint64:
    """The key of the mask of a layer's outputs in a step."""
    key: np.uint64 = key_of(key_of(key_of(np.array([seed], np.uint64), epoch), step), layer)[0]
    return key


def keep_mask(key: np.uint64, first_row: int, n_rows: int, n_columns: int, dropout: float) -> npt.NDArray[np.bool_]:
    """
    Which elements of the rows from `first_row` on, of a mini-batch, are kept: bool (n_rows, n_columns).

    Each row has two keys of 32 bits. With these, an avalanche hash, by two multiplications, makes 32 random bits of the
    column: the element is kept if they are, as a number, at least ``dropout * 2**32``.
    """
    rows = np.arange(first_row, first_row + n_rows, dtype=np.uint64)
    row_key = mix(key + GOLDEN * rows)[:, np.newaxis]
    bits = np.arange(n_columns, dtype=np.uint32) + row_key.astype(np.uint32)
    bits ^= bits >> np.uint32(16)
    bits *= np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) + (row_key >> np.uint64(32)).astype(np.uint32)
    bits *= np.uint32(0x846CA68B)
    bits ^= bits >> np.uint32(16)
    kept: npt.NDArray[np.bool_] = bits >= np.uint32(min(int(dropout * 2**32 + 0.5), 2**32 - 1))
    return kept


def dropped(values: Array, number: StepNumber, layer: int, first_row: int, dropout: float) -> Array:
    """What dropout leaves of a layer's outputs, or of their gradient, for the rows from `first_row` on."""
    n_rows, n_columns = values.shape
    kept = keep_mask(dropout_key(*number, layer), first_row, n_rows, n_columns, dropout)
    return np.where(kept, values * values.dtype.type(1 / (1 - dropout)), 0)
