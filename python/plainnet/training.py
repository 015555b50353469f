"""
A run: what a call of :meth:`plainnet.Network.fit` does.

It trains in slices, between which Ctrl-C is delivered, and first finishes an epoch that an exception has interrupted.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._cpython import TrainingState as TrainingState
from ._cpython import checksum, end_runs_of_other_threads
from .arrays import Array, allocate
from .backend import Backend, DivergedError, Progress, Training
from .interrupt import DeferredInterrupt
from .optimizers import LearningRate, Optimizer, rates_of_steps
from .reference import shuffled

#: How long a slice is, about: Ctrl-C waits for its end.
SLICE_SECONDS = 0.08

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=end_runs_of_other_threads)


def operations_a_row(n_parameters: int, n_out: int) -> int:
    """
    The cost model: floating-point operations of a step, for each row.

    Each parameter takes part in three products, with a multiplication and an addition each, and each output has an
    activation. The first slice is as long as this says; no result depends on it.
    """
    return 6 * n_parameters + 50 * n_out


class Interrupted(NamedTuple):
    """
    An epoch that was begun and not finished.

    Attributes
    ----------
    rows, batch_size, shuffle : int, int, bool
        The number of rows, and how the epoch divides and orders them.
    checksum : int
        Of the data and their weights, and of the parameters and the optimizer's state after the last step.
    row, loss_sum : int, float
        As in Progress.
    """

    rows: int
    batch_size: int
    shuffle: bool
    checksum: int
    row: int
    loss_sum: float


class Run:
    """
    One call of :meth:`plainnet.Network.fit`, for :meth:`TrainingState.run`, which calls both methods.

    :meth:`train` trains the network. Then :meth:`finish` brings its parameters and its state up to date, even if an
    exception has interrupted :meth:`train`.

    Parameters
    ----------
    model : Backend
    state : TrainingState
        The network's; the run updates the numbers of finished epochs and of steps, and the epoch that was begun.
    x, y : ndarray
    sample_weight : ndarray, optional
    training : Training
        The numbers of its first epoch and of its first step follow from `state` when the run begins.
    learning_rate : float or callable
        That of `training`, or a function of the number of the step.
    """

    def __init__(
        self,
        model: Backend,
        state: TrainingState,
        x: Array,
        y: Array,
        sample_weight: Array | None,
        training: Training,
        learning_rate: LearningRate,
    ) -> None:
        self.model = model
        self.state = state
        weights = () if sample_weight is None else (sample_weight,)
        self.x, self.y, *self.weights = (
            array.copy() if np.may_share_memory(array, model.parameters) else array for array in (x, y, *weights)
        )
        self.training = training
        self.learning_rate = learning_rate
        self.losses = allocate(
            f"the losses of {training.epochs} epochs", training.epochs, np.float64, "take fewer epochs at once"
        )
        self.progress = Progress()
        self.interrupt = DeferredInterrupt()
        self.is_complete = False

    def train(self) -> npt.NDArray[np.float64]:
        """Trains in slices; returns the losses."""
        self.training = dataclasses.replace(
            self.training, first_epoch=self.state.epochs_trained, first_step=self.state.steps
        )
        begun = self.state.begun
        if begun is not None and begun[:4] == self._fingerprint():
            self.progress = Progress(0, begun.row, begun.loss_sum)
        training = self.training = dataclasses.replace(self.training, learning_rates=self._learning_rates())
        model, progress = self.model, self.progress
        operations = training.batch_size * operations_a_row(model.parameters.size, self.y.size // len(self.y))
        max_steps = max(1, int(model.first_slice_operations / operations))
        self.interrupt.begin()
        while progress.epoch < training.epochs or progress.steps == 0:
            started = time.perf_counter()
            try:
                model.train(self.x, self.y, training, progress, self.losses, max_steps, *self.weights)
            except DivergedError as error:
                raise self._explained(error) from None
            if progress.epoch >= training.epochs:
                break
            self.interrupt.deliver()
            elapsed = max(time.perf_counter() - started, 1e-9)
            max_steps = max(1, int(max_steps * min(8.0, SLICE_SECONDS / elapsed)))
        self.is_complete = True
        return self.losses

    def finish(self) -> None:
        """Brings the parameters and the state up to date. If an exception interrupts it, it is called again."""
        state, progress = self.state, self.progress
        if progress.journal is not None:
            if not self.is_complete:
                self.model.train(self.x, self.y, self.training, progress, self.losses, 0, *self.weights)
            if progress.steps > 0:
                state.steps = self.training.first_step + progress.steps
                state.epochs_trained = self.training.first_epoch + progress.epoch
                state.begun = None
                if progress.row > 0:
                    state.begun = Interrupted(*self._fingerprint(), progress.row, progress.loss_sum)
        self.interrupt.end()

    def _learning_rates(self) -> npt.NDArray[np.float64] | None:
        """The rates of all steps, before any is made: if one is wrong, nothing has happened."""
        if not callable(self.learning_rate):
            return None
        training, begun_steps = self.training, -(-self.progress.row // self.training.batch_size)
        n_steps = max(0, training.epochs * -(-len(self.x) // training.batch_size) - begun_steps)
        rates = allocate(f"the learning rates of {n_steps} steps", n_steps, np.float64, "take fewer epochs at once")
        rates_of_steps(self.learning_rate, training.first_step, rates, self.model.parameters.dtype)
        return rates

    def _fingerprint(self) -> tuple[int, int, bool, int]:
        """What must be the same to finish an epoch that was begun: the data, their order, parameters and state."""
        slots = () if self.training.state is None else (self.training.state,)
        number = checksum(self.x, self.y, self.model.parameters, *self.weights, *slots)
        return len(self.x), self.training.batch_size, self.training.shuffle, number

    def _explained(self, error: DivergedError) -> DivergedError:
        if self.progress.steps > 0:
            return error
        training, n_rows = self.training, len(self.x)
        order = np.arange(n_rows)
        if training.shuffle:
            order = shuffled(training.seed, training.first_epoch, n_rows)
        rows = order[self.progress.row :][: training.batch_size]
        return explained(error, self.model, self.x[rows], self.y[rows], *(weight[rows] for weight in self.weights))


class Step:
    """
    One call of :meth:`plainnet.Network.train_on_batch`, for :meth:`TrainingState.run`, as :class:`Run` is one of `fit`.
    """

    def __init__(
        self,
        model: Backend,
        state: TrainingState,
        x: Array,
        y: Array,
        sample_weight: Array | None,
        optimizer: tuple[Optimizer, Array | None],
        learning_rate: LearningRate,
        seed: int,
    ) -> None:
        self.model = model
        self.state = state
        self.x, self.y = x, y
        self.weights = () if sample_weight is None else (sample_weight,)
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.seed = seed
        self.progress = Progress()
        self.training: Training | None = None
        self.is_complete = False

    def train(self) -> float:
        """Makes the step; returns the loss from before it."""
        loss, first, rate, rates = np.empty(1), self.state.steps, self.learning_rate, None
        optimizer, slots = self.optimizer
        if callable(rate):
            rates = np.empty(1)
            rates_of_steps(rate, first, rates, self.model.parameters.dtype)
            rate = float(rates[0])
        epoch = self.state.epochs_trained
        self.training = Training(1, len(self.x), rate, False, self.seed, epoch, optimizer, rates, first, slots)
        try:
            self.model.train(self.x, self.y, self.training, self.progress, loss, 1, *self.weights)
        except DivergedError:
            raise explained(DivergedError(0), self.model, self.x, self.y, *self.weights) from None
        self.is_complete = True
        return float(loss[0])

    def finish(self) -> None:
        """Counts the step, if it has been made. If an exception interrupts it, it is called again."""
        if self.progress.journal is not None and self.training is not None:
            if not self.is_complete:
                self.model.train(self.x, self.y, self.training, self.progress, np.empty(1), 0, *self.weights)
            self.state.steps = self.training.first_step + self.progress.steps


def explained(
    error: DivergedError, model: Backend, x: Array, y: Array, sample_weight: Array | None = None
) -> DivergedError:
    """`error`, or a clearer one if there was no finite step before the rows `x`, `y`."""
    finite = np.isfinite(model.parameters)
    if not finite.all():
        k = int(finite.argmin())
        return DivergedError(error.epoch, f"it began with parameters[{k}] = {model.parameters[k]}")
    if sample_weight is not None and not sample_weight.any():  # the rows of a mini-batch: their loss is 0
        return error
    loss = model.loss_and_gradient(x, y, np.empty_like(model.parameters), sample_weight)
    if math.isfinite(loss):
        return error
    why = (
        f"it is {loss} for the parameters that it began with: they, or the data, are too large for "
        f"{model.parameters.dtype}"
    )
    return DivergedError(error.epoch, why)
