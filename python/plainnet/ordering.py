"""Training in orders of the rows that a function gives, one for each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .arrays import Array
from .backend import Backend, DivergedError, Progress, Training
from .conversion import shown

#: A function of an epoch's number that returns the order in which it visits the rows, (n_samples,).
OrderOfEpoch: TypeAlias = Callable[[int], Any]


def as_order(value: Any, epoch: int, n_rows: int) -> Array:
    """`value` as the order of an epoch: each number from 0 to n_rows - 1 once."""
    order = np.asarray(value)
    if order.dtype.kind not in "iu" or order.shape != (n_rows,):
        raise ValueError(_refused(epoch, n_rows, f", not {shown(value)}"))
    rows = order.astype(np.uintp)  # in which negative numbers are large
    is_there = np.zeros(n_rows, bool)
    if np.maximum.reduce(rows) < n_rows:
        is_there[rows] = True
    if not np.logical_and.reduce(is_there):
        raise ValueError(_refused(epoch, n_rows, f": {is_there.argmin()} is missing, or others are out of range"))
    return rows


def _refused(epoch: int, n_rows: int, why: str) -> str:
    return (
        f"the order of the rows in epoch {epoch}, which the function shuffle returns, must be an array of the integers "
        f"from 0 to {n_rows - 1}, each of them once{why}"
    )


@dataclass
class Epoch:
    """
    An epoch, which is a run of its own for the backend.

    Attributes
    ----------
    start : Progress
        Of the whole run, where the epoch begins or is taken up.
    training, progress, loss : Training, Progress, ndarray (1,)
        What the backend has of it.
    """

    start: Progress
    training: Training
    progress: Progress
    loss: Array = field(default_factory=lambda: np.empty(1))


class OrderedModel:
    """
    A backend for a run whose epochs have orders of their own, but for that `model`.

    What :meth:`train` keeps in ``progress.journal`` is the epoch at hand, or () between two.
    """

    def __init__(self, model: Backend, order_of_epoch: OrderOfEpoch) -> None:
        self._model = model
        self._order_of_epoch = order_of_epoch
        self._order: tuple[int, Array] | None = None
        self.loss = model.loss
        self.parameters = model.parameters
        self.first_slice_operations = model.first_slice_operations

    def loss_and_gradient(self, x: Array, y: Array, gradient: Array, sample_weight: Array | None = None) -> float:
        """As the model has it."""
        return self._model.loss_and_gradient(x, y, gradient, sample_weight)

    def order(self, epoch: int, n_rows: int) -> Array:
        """The order of the rows in the epoch of this number, for which the function is asked once."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, as_order(self._order_of_epoch(epoch), epoch, n_rows)
        return self._order[1]

    def train(
        self,
        x: Any,
        y: Array,
        training: Training,
        progress: Progress,
        losses: Array,
        max_steps: int,
        sample_weight: Array | None = None,
    ) -> None:
        """See :meth:`plainnet.backend.Backend.train`."""
        data = x, y, sample_weight
        if progress.journal is None:
            progress.journal = ()
        self._settle(*data, progress, losses)
        while max_steps > 0 and progress.epoch < training.epochs:
            epoch = progress.journal = progress.journal or self._begun(training, progress, len(y))
            before = epoch.progress.steps
            left = -(-(len(y) - progress.row) // training.batch_size)
            try:
                self._model.train(
                    x, y, epoch.training, epoch.progress, epoch.loss, min(left, max_steps), *_given(sample_weight)
                )
            except DivergedError as error:
                self._settle(*data, progress, losses)
                raise DivergedError(epoch.start.epoch + error.epoch) from None
            self._settle(*data, progress, losses)
            max_steps -= epoch.progress.steps - before

    def _begun(self, training: Training, progress: Progress, n_rows: int) -> Epoch:
        """The epoch that follows `progress`."""
        number, rates = training.first_epoch + progress.epoch, training.learning_rates
        how = Training(
            1, training.batch_size, training.learning_rate, False, training.seed, number, training.optimizer,
            None if rates is None else rates[progress.steps :], training.first_step + progress.steps, training.state,
            self.order(number, n_rows), progress.steps > 0,
        )  # fmt: skip
        start = Progress(progress.epoch, progress.row, progress.loss_sum, progress.steps)
        return Epoch(start, how, Progress(0, progress.row, progress.loss_sum, 0))

    def _settle(self, x: Any, y: Array, weight: Array | None, progress: Progress, losses: Array) -> None:
        """Notes in `progress` and `losses` what has become of the epoch at hand; twice does no harm."""
        epoch = progress.journal
        if not isinstance(epoch, Epoch):
            return
        now, start = epoch.progress, epoch.start
        if now.journal is not None:
            self._model.train(x, y, epoch.training, now, epoch.loss, 0, *_given(weight))
        progress.steps = start.steps + now.steps
        progress.row, progress.loss_sum = now.row, now.loss_sum
        if now.epoch == 1:
            losses[start.epoch] = epoch.loss[0]
            progress.epoch = start.epoch + 1
            progress.journal = ()


def _given(weight: Array | None) -> tuple[Array, ...]:
    return () if weight is None else (weight,)
