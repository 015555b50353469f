"""The validation data of early stopping: how they are set aside, their score and their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from ..arrays import Array
from ..network import Network
from ..training import Data
from .blocks import forward
from .networks import Objective

#: The score of targets and outputs, with weights or None.
Score = Callable[[Array, Array, "Array | None"], float]


class Holdout:
    """
    Validation data.

    Parameters
    ----------
    objective : Objective
    data : Data
        x may be a sparse matrix, in the format csr; y are the network's targets.
    constants : ndarray (n_samples,), optional
        What the loss to report has more than the objective, for each row.
    score : callable
        Of ``(y, outputs, sample_weight)``.
    """

    def __init__(self, objective: Objective, data: Data, constants: Array | None, score: Score) -> None:
        self._objective = objective
        self.data = data
        self._constant = 0.0 if constants is None else float(np.average(constants, weights=data.weight))
        self._score = score

    def measure(self, network: Network) -> tuple[float, float]:
        """The score, and the loss without the penalty, of the network."""
        x, y, weight = self.data
        outputs, loss = forward(network, x, y, weight)
        score = self._score(y, outputs, weight) if np.isfinite(outputs).all() else np.nan
        return float(score), self._objective.reported(loss, 0.0) + self._constant


def split(
    n_rows: int, fraction: float, stratify: Array | None, random_state: np.random.RandomState
) -> tuple[Array, Array]:
    """
    The numbers of the rows for training and for validation, as scikit-learn chooses them.

    Raises
    ------
    ValueError
        If fewer than two rows are for validation.
    """
    train, aside = train_test_split(np.arange(n_rows), random_state=random_state, test_size=fraction, stratify=stratify)
    if len(aside) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return train, aside


def rows_of(data: Data, rows: Array) -> Data:
    """Some rows of `data`."""
    return Data(data.x[rows], data.y[rows], None if data.weight is None else data.weight[rows])


# ---- Scores ----------------------------------------------------------------------------------------------------------


def accuracy(y: Array, outputs: Array, weight: Array | None) -> float:
    """The share of rows that are right: of labels (n_samples,), or of all outputs (n_samples, n_out) at once."""
    right = outputs.argmax(axis=1) == y if y.ndim == 1 else ((outputs > 0.5) == (y > 0.5)).all(axis=1)
    return float(np.average(right, weights=weight))


def accuracy_of_one_class(y: Array, outputs: Array, weight: Array | None) -> float:
    """1: a classifier that knows a single class is always right."""
    return 1.0


def r2(y: Array, outputs: Array, weight: Array | None) -> float:
    """The coefficient of determination, a mean over outputs."""
    weights: Any = np.ones(len(y)) if weight is None else weight.astype(np.float64)
    y, outputs = y.astype(np.float64), outputs.astype(np.float64)
    of_rows = weights[:, np.newaxis]
    total = (of_rows * (y - np.average(y, axis=0, weights=weights)) ** 2).sum(axis=0)
    if not (total > 0).all():  # all targets are equal: there are rules for that
        return float(r2_score(y, outputs, sample_weight=weight))
    return float((1 - (of_rows * (y - outputs) ** 2).sum(axis=0) / total).mean())
