"""Rows: how gradients are summed over many of them, and in which order an epoch visits them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..arrays import Array

#: Rows pass through a network in blocks of this size, so that memory does not grow with them; PN_BLOCK_ROWS in C.
BLOCK_ROWS = 384


def blocks_of_rows(n_rows: int) -> Iterator[slice]:
    """Slices of BLOCK_ROWS rows; the last one has the remainder."""
    for start in range(0, n_rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, n_rows))


class RowSum:
    """
    The sum of the gradients of blocks, as exact for many blocks as for one: compensated summation.

    The rounding error of an addition is itself a number of the same type (Knuth, "The Art of Computer Programming",
    volume 2, 4.2.2, theorem B), and these errors are summed as well.
    """

    def __init__(self, like: Array) -> None:
        self.total, self.error = np.zeros_like(like), np.zeros_like(like)

    def add(self, block: Array) -> None:
        total = self.total + block
        added = total - self.total
        self.error += (self.total - (total - added)) + (block - added)
        self.total = total

    def value(self) -> Array:
        # Where the total is infinite, the error is NaN: infinity stays infinity.
        return np.where(np.isnan(self.error), self.total, self.total + self.error)


#: 2**64 over the golden ratio: its multiples are spread evenly.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def key_of(key: npt.NDArray[np.uint64], number: int) -> npt.NDArray[np.uint64]:
    """A key (1,) made of another one and a number."""
    return mix(key + mix(np.array([number], np.uint64) + GOLDEN))


def shuffled(seed: int, epoch: int, n_rows: int) -> Array:
    """
    The order in which an epoch visits the rows: a function of `seed` and `epoch` alone.

    Fisher-Yates, the random numbers from SplitMix64's output function.
    """
    key = key_of(np.array([seed], np.uint64), epoch)
    i = np.arange(n_rows, dtype=np.uint64)
    random = mix(key + GOLDEN * i) >> np.uint64(32)
    partner = ((random * (i + np.uint64(1))) >> np.uint64(32)).tolist()
    order = list(range(n_rows))
    for k in range(n_rows - 1, 0, -1):
        order[k], order[partner[k]] = order[partner[k]], order[k]
    return np.array(order)
