"""Validation data: rows that are set aside, by which to judge what training has learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array
from .conversion import shown
from .losses import Loss
from .native import shuffled

#: The number of the epoch in whose order rows are set aside; no run comes as far.
_EPOCH = 2**64 - 1


def as_fraction(value: Any) -> float:
    """`value` as a fraction of the rows."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(
            "validation must be a fraction of the rows, such as 0.1, or a pair (x, y) of arrays, or (x, y, "
            f"sample_weight), not {shown(value)}"
        )
    if not 0 < value < 1:
        allowed = "a fraction between 0 and 1, or a pair (x, y) of arrays"
        raise ValueError(f"validation must be {allowed}, not {shown(value)}")
    return float(value)


def split(fraction: float, y: Array, weight: Array | None, loss: Loss, seed: int) -> tuple[Array, Array]:
    """
    The numbers of the rows to train with and of those to set aside, both in ascending order.

    Parameters
    ----------
    fraction : float
        Of the rows; rows of weight 0 do not count, and stay with the training data.
    y : ndarray (n_samples, n_out) or (n_samples,)
        Where these are classes (with cross entropy, or 0 and 1 with a single output and log loss), each of them gives
        the same fraction, up to a row. A class keeps at least one row to train with.
    seed : int
        The same seed sets the same rows aside.

    Raises
    ------
    ValueError
        If there would be no row to set aside, or none to train with.
    """
    order = shuffled(seed, _EPOCH, len(y))
    if weight is not None:
        order = order[weight[order] > 0]
    classes = _classes(y, loss)[order]
    n_rows, n_aside = len(order), round(fraction * len(order))
    members = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    counts = _shares(fraction, n_aside, [len(member) for member in members])
    aside = np.sort(order[np.concatenate([member[:count] for member, count in zip(members, counts)])])
    if not 0 < len(aside) < n_rows:
        raise ValueError(
            f"validation={fraction} of {n_rows} rows is {len(aside)} rows: there must be at least one of them, and one "
            "of each class to train with"
        )
    train = np.ones(len(y), bool)
    train[aside] = False
    return np.flatnonzero(train), aside


def _classes(y: Array, loss: Loss) -> Array:
    """The class of each row, where targets are classes; else 0."""
    if loss.is_distribution:
        return y if y.ndim == 1 else y.argmax(axis=1)
    if loss.name == "log_loss" and y.shape[1] == 1 and bool(((y == 0) | (y == 1)).all()):
        return y[:, 0]
    return np.zeros(len(y))


def _shares(fraction: float, total: int, sizes: list[int]) -> list[int]:
    """How many of each class: its fraction rounded down, and one more where that is furthest from the fraction."""
    wanted = fraction * np.array(sizes)
    counts = np.minimum(np.floor(wanted), np.array(sizes) - 1).astype(int)
    for k in np.argsort(counts - wanted, kind="stable"):
        if counts.sum() < total and counts[k] < sizes[k] - 1:
            counts[k] += 1
    return [int(count) for count in counts]
