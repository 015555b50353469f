"""The record of a run of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = npt.NDArray[np.float64]


_NO_METRICS: Mapping[str, Values] = MappingProxyType({})


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

    __slots__ = "_rate", "best_epoch", "loss", "metrics", "stopped", "validation_loss"

    def __init__(
        self,
        loss: Values,
        learning_rate: Values | float,
        validation_loss: Values | None = None,
        metrics: Mapping[str, Values] = _NO_METRICS,
        stopped: str | None = None,
        best_epoch: int | None = None,
    ) -> None:
        """`learning_rate` may be a number, that of all epochs: an array takes longer than a run of a tiny network."""
        self.loss = loss
        self.validation_loss = validation_loss
        self.metrics = metrics
        self.stopped = stopped
        self.best_epoch = best_epoch
        self._rate = learning_rate

    @property
    def learning_rate(self) -> Values:
        if not isinstance(self._rate, np.ndarray):
            self._rate = np.full(len(self.loss), self._rate, np.float64)
        return self._rate

    def __repr__(self) -> str:
        names = "loss", "learning_rate", "validation_loss", "metrics", "stopped", "best_epoch"
        return f"History({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def plot(self, ax: Axes | None = None, metrics: str | Sequence[str] | None = None) -> Axes:
        """Draws the run, with matplotlib: see :func:`plainnet.plot.history`."""
        from .plot import history

        return history(self, ax, metrics)
