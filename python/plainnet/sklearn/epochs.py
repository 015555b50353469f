"""
Epochs whose order of rows, and whose learning rate, is decided when they begin.

:meth:`plainnet.Network.fit` does the same, and more between two epochs than a small network needs for one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..arguments import as_learning_rate
from ..arrays import Array, allocate, sum_of_weights
from ..backend import DivergedError, Progress, Training
from ..interrupt import DeferredInterrupt
from ..network import Network
from ..optimizers import LearningRate, rates_of_steps
from ..streaming import StreamedModel, n_out
from ..training import SLICE_SECONDS, Data, explained, operations_a_row


@dataclass(frozen=True)
class Decisions:
    """
    What is decided for each epoch.

    Attributes
    ----------
    next_order : callable
        Returns the order in which the next epoch visits the rows, uintp (n_samples,), or None: their own.
    rate : callable
        Returns the learning rate of the next epoch, or None: that of the network's optimizer.
    epoch_end : callable
        Has the loss of an epoch; whether it was the last one.
    step_begin, step_end : callable, optional
        Called before and after each step. The latter has the numbers of its first row and of the one after its last in
        the order of the epoch, and the sum of these rows' losses: the loss times its denominator.
    """

    next_order: Callable[[], Array | None]
    rate: Callable[[], float | None]
    epoch_end: Callable[[float], bool]
    step_begin: Callable[[], None] | None = None
    step_end: Callable[[int, int, float], None] | None = None


class Epochs:
    """
    Some epochs, for :meth:`TrainingState.run`.

    Parameters
    ----------
    network : Network
    data : Data
        x and y as for :meth:`plainnet.Network.fit`; weights of the network's dtype, or None.
    epochs, batch_size : int
    decisions : Decisions
    """

    def __init__(self, network: Network, data: Data, epochs: int, batch_size: int, decisions: Decisions) -> None:
        self._network = network
        self._x, self._y = network._pair(data.x, data.y, by_parts=True)
        self._weights = () if data.weight is None else (data.weight,)
        self._model: Any = network._model if isinstance(self._x, np.ndarray) else StreamedModel(network._model)
        self._epochs = epochs
        self._batch_size = batch_size
        self._steps = -(-len(self._y) // batch_size)
        self._decisions = decisions
        self._interrupt = DeferredInterrupt()
        operations = batch_size * operations_a_row(network.parameters.size, network._n_out)
        self._steps_a_slice = max(1, int(self._model.first_slice_operations / operations))
        self._n_done = 0
        self._training: Training | None = None
        self._progress = Progress()
        self._loss = np.empty(1)

    def run(self) -> None:
        """
        Trains until the last epoch.

        Raises
        ------
        DivergedError
            As from :meth:`plainnet.Network.fit`. The network keeps its last finite parameters.
        KeyboardInterrupt
            At the end of a step.
        """
        network = self._network
        network._check_writeable()
        network._state.begun = None
        network._state.run(self._train, (), self._finish, network._optimizer[1], True)

    def _train(self) -> None:
        """Trains epoch by epoch."""
        self._interrupt.begin()
        for epoch in range(self._epochs):
            self._begin_epoch(is_first=epoch == 0)
            while self._progress.epoch == 0:
                if self._decisions.step_end is None:
                    self._train_slice()
                else:
                    self._train_step()
                self._interrupt.deliver()
            self._count()
            self._n_done += 1
            if self._decisions.epoch_end(float(self._loss[0])):
                return

    def _begin_epoch(self, is_first: bool) -> None:
        state, (optimizer, slots) = self._network._state, self._network._optimizer
        rate, rates = self._rates(optimizer.learning_rate)
        self._training = Training(
            1, self._batch_size, rate, False, self._network._shuffle_seed, state.epochs_trained, optimizer, rates,
            state.steps, slots, self._decisions.next_order(), not is_first,
        )  # fmt: skip
        self._progress = Progress()

    def _rates(self, default: LearningRate) -> tuple[float, Array | None]:
        """The learning rate of the next epoch, or those of all of its steps."""
        dtype = self._network.dtype
        rate = self._decisions.rate()
        if rate is None and callable(default):
            rates = allocate("the learning rates of an epoch", self._steps, np.float64, "take a larger batch_size")
            rates_of_steps(default, self._network._state.steps, rates, dtype)
            return 1.0, rates
        return as_learning_rate(rate, self._network.optimizer, dtype), None  # type: ignore[return-value]

    def _make_steps(self, n_steps: int) -> None:
        training, progress = self._training, self._progress
        assert training is not None
        try:
            self._model.train(self._x, self._y, training, progress, self._loss, n_steps, *self._weights)
        except DivergedError as error:
            raise self._explained(error) from None

    def _train_step(self) -> None:
        """Makes one step."""
        decisions, progress = self._decisions, self._progress
        assert decisions.step_end is not None
        first, before = progress.row, progress.loss_sum
        if decisions.step_begin is not None:
            decisions.step_begin()
        self._make_steps(1)
        end, total = progress.row, progress.loss_sum
        if progress.epoch == 1:
            end, total = len(self._y), float(self._loss[0]) * self._denominator
        decisions.step_end(first, end, total - before)

    @cached_property
    def _denominator(self) -> float:
        """That of the loss of an epoch."""
        rows = sum_of_weights(len(self._y), self._weights[0] if self._weights else None)
        return float(self._model.loss.denominator(rows, n_out(self._y)))

    def _train_slice(self) -> None:
        """Makes steps for about as long as Ctrl-C may wait."""
        started, before = time.perf_counter(), self._progress.steps
        self._make_steps(self._steps_a_slice)
        elapsed = max(time.perf_counter() - started, 1e-9)
        if self._progress.steps - before == self._steps_a_slice or elapsed > SLICE_SECONDS:
            self._steps_a_slice = max(1, int(self._steps_a_slice * min(8.0, SLICE_SECONDS / elapsed)))

    def _explained(self, error: DivergedError) -> DivergedError:
        """`error`, with the epoch's number, or a clearer one if there was no finite step."""
        if self._n_done > 0 or self._progress.steps > 0 or self._training is None:
            return DivergedError(self._n_done + error.epoch)
        rows = slice(self._batch_size) if self._training.order is None else self._training.order[: self._batch_size]
        return explained(error, self._model, self._x[rows], self._y[rows], *(weight[rows] for weight in self._weights))

    def _finish(self) -> None:
        """Brings the parameters and the state up to date. If an exception interrupts it, it is called again."""
        self._count()
        self._interrupt.end()

    def _count(self) -> None:
        """Counts the steps of the epoch at hand, and the epoch if it is complete; twice does no harm."""
        progress, training, state = self._progress, self._training, self._network._state
        if training is not None and progress.journal is not None:
            self._model.train(self._x, self._y, training, progress, self._loss, 0, *self._weights)
            state.steps = training.first_step + progress.steps
            state.epochs_trained = training.first_epoch + progress.epoch
