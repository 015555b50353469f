"""The record of a run of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """
    The record of a call of :meth:`plainnet.Network.fit`: arrays with an entry for each finished epoch.

    Attributes
    ----------
    loss : ndarray (epochs,)
        The loss of each epoch: the mean over the rows, or with ``sum_of_squares`` the sum. Each row's loss is from
        before the step that uses the row; with the full batch, this is the loss before the epoch's step.
    learning_rate : ndarray (epochs,)
        The learning rate of each epoch's last step.
    validation_loss : ndarray (epochs,) or None
        The loss of the validation data after each epoch; None if there are none.
    metrics : mapping from str to ndarray (epochs,)
        The metrics after each epoch, by name: of the validation data or, if there are none, of the training data.
    stopped : str or None
        Why the run ended and whose parameters the network has, if a callback decided either.
    best_epoch : int or None
        The best epoch, from 1 on, if a callback looked for one, as ``pn.EarlyStopping`` does.
    """

    loss: Values
    learning_rate: Values
    validation_loss: Values | None = None
    metrics: Mapping[str, Values] = field(default_factory=lambda: MappingProxyType({}))
    stopped: str | None = None
    best_epoch: int | None = None

    def plot(self, ax: Axes | None = None, metrics: str | Sequence[str] | None = None) -> Axes:
        """Draws the run, with matplotlib: see :func:`plainnet.plot.history`."""
        from .plot import history

        return history(self, ax, metrics)
