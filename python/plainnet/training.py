"""
A run: what a call of :meth:`plainnet.Network.fit` does.

It trains in slices, between which Ctrl-C is delivered, and first finishes an epoch that an exception has interrupted.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._cpython import TrainingState as TrainingState
from ._cpython import checksum, end_runs_of_other_threads
from .arrays import Array, allocate
from .backend import Backend, DivergedError, Progress, Training
from .history import History, Values
from .interrupt import DeferredInterrupt
from .native import shuffled
from .optimizers import LearningRate, Optimizer, rates_of_steps
from .ordering import OrderedModel, OrderOfEpoch

if TYPE_CHECKING:
    from .monitor import Monitor
    from .unfinished import Unfinished

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


class Data(NamedTuple):
    """Rows, as a backend takes them: x, y, and their weights (n_samples,) or None; or x is a streaming.Rows."""

    x: Any
    y: Array
    weight: Array | None


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
        Or x is a Rows, and `model` a StreamedModel.
    sample_weight : ndarray, optional
    training : Training
        The numbers of its first epoch and of its first step follow from `state` when the run begins.
    learning_rate : float or callable
        That of `training`, or a function of the number of the step.
    monitor : Monitor, optional
        Which watches the run.
    order_of_epoch : callable, optional
        The order of the rows of each epoch, by its number; `training` is shuffled then.
    """

    def __init__(
        self,
        model: Any,
        state: TrainingState,
        x: Any,
        y: Array,
        sample_weight: Array | None,
        training: Training,
        learning_rate: LearningRate,
        monitor: Monitor | None = None,
        order_of_epoch: OrderOfEpoch | None = None,
    ) -> None:
        self.model: Any = model if order_of_epoch is None else OrderedModel(model, order_of_epoch)
        self.state = state
        self.monitor = monitor
        weights = () if sample_weight is None else (sample_weight,)
        self.x, self.y, *self.weights = (
            array.copy() if isinstance(array, np.ndarray) and np.may_share_memory(array, model.parameters) else array
            for array in (x, y, *weights)
        )
        self.training = training
        self.learning_rate = learning_rate
        self.losses = allocate(
            f"the losses of {training.epochs} epochs", training.epochs, np.float64, "take fewer epochs at once"
        )
        self.rates: Values | None = None  # of all steps, if they differ, but for what callbacks make of them
        self.first_epoch_steps = 0
        self.progress = Progress()
        self.interrupt = DeferredInterrupt()
        self.is_complete = False

    def train(self) -> None:
        """Trains in slices."""
        self.training = dataclasses.replace(
            self.training, first_epoch=self.state.epochs_trained, first_step=self.state.steps
        )
        begun = self.state.begun
        if begun is not None and begun[:4] == self._fingerprint():
            self.progress = Progress(0, begun.row, begun.loss_sum)
        self.first_epoch_steps = self._steps_to_epoch_end()
        if self.monitor is not None and self.monitor.ended_before():
            self.training = dataclasses.replace(self.training, epochs=0)
        self.rates = self._learning_rates()
        if self.rates is not None:
            rates = self.rates * (self.monitor.rate_factor if self.monitor is not None else 1.0)
            self.training = dataclasses.replace(self.training, learning_rates=rates)
        training = self.training
        model, progress = self.model, self.progress
        operations = training.batch_size * operations_a_row(model.parameters.size, self.y.size // len(self.y))
        max_steps = max(1, int(model.first_slice_operations / operations))
        self.interrupt.begin()
        while progress.epoch < training.epochs or progress.steps == 0:
            started, epoch = time.perf_counter(), progress.epoch
            steps = min(max_steps, self._steps_to_epoch_end()) if self._pauses() else max_steps
            try:
                model.train(self.x, self.y, training, progress, self.losses, steps, *self.weights)
            except DivergedError as error:
                raise self._explained(error) from None
            elapsed = max(time.perf_counter() - started, 1e-9)
            if self._pause(epoch) or progress.epoch >= training.epochs:
                break
            self.interrupt.deliver()
            if steps == max_steps or elapsed > SLICE_SECONDS:
                max_steps = max(1, int(max_steps * min(8.0, SLICE_SECONDS / elapsed)))
        self.is_complete = True

    def finish(self) -> None:
        """Brings the parameters and the state up to date. If an exception interrupts it, it is called again."""
        if self.progress.journal is not None:
            if not self.is_complete:
                self.model.train(self.x, self.y, self.training, self.progress, self.losses, 0, *self.weights)
            self._update_state()
        self.interrupt.end()

    def _update_state(self) -> None:
        """Counts the epochs and steps of the run so far, and notes an epoch that is not finished."""
        state, progress = self.state, self.progress
        if progress.steps > 0:
            state.steps = self.training.first_step + progress.steps
            state.epochs_trained = self.training.first_epoch + progress.epoch
            state.begun = self._interrupted()

    def _interrupted(self) -> Interrupted | None:
        """The epoch that is not finished, if there is one."""
        progress = self.progress
        return Interrupted(*self._fingerprint(), progress.row, progress.loss_sum) if progress.row > 0 else None

    def _steps_to_epoch_end(self) -> int:
        return -(-(len(self.x) - self.progress.row) // self.training.batch_size)

    def _pauses(self) -> bool:
        """Whether something happens at the end of each epoch."""
        return self.monitor is not None and self.monitor.needs_epochs

    def _pause(self, epoch: int) -> bool:
        """Between two slices, the last of which began in `epoch`; whether the run ends here."""
        monitor, progress = self.monitor, self.progress
        if monitor is None:
            return False
        stops = False
        if self._pauses() and progress.epoch > epoch:
            self._update_state()
            self.interrupt.end()  # Ctrl-C interrupts callbacks, which may take long
            stops = monitor.epoch_end(float(self.losses[epoch]), self._rate_of_epoch(epoch))
            self.interrupt.begin()
            if self.rates is not None and self.training.learning_rates is not None and monitor.changes_rates:
                ahead = slice(progress.steps, None)
                self.training.learning_rates[ahead] = self.rates[ahead] * monitor.rate_factor
        monitor.advance(progress.epoch, progress.row, self.losses)
        return stops

    def history(self) -> History:
        """The record of the epochs that are finished."""
        epochs = self.progress.epoch
        loss, rates = self.losses[:epochs], self._rates_of_epochs(epochs)
        return History(loss, rates) if self.monitor is None else self.monitor.history(loss, rates)

    def unfinished(self) -> Unfinished:
        """What it takes to go on with the run."""
        from .unfinished import Unfinished

        monitor, epochs = self.monitor, self.progress.epoch
        if monitor is None or not monitor.needs_epochs:
            history = self.history()
            pairs = zip(history.loss.tolist(), history.learning_rate.tolist(), strict=True)
            logs = [{"epoch": k, "loss": loss, "learning_rate": rate} for k, (loss, rate) in enumerate(pairs, 1)]
            return Unfinished(logs)
        if epochs > monitor.n_ended:  # an exception came before the end of the last one was begun
            pending = float(self.losses[epochs - 1]), self._rate_of_epoch(epochs - 1)
            return dataclasses.replace(monitor.unfinished, pending=pending)
        return monitor.unfinished

    def _rates_of_epochs(self, epochs: int) -> Values | float:
        """The learning rates of the last steps of the first epochs; a number if they are all the same."""
        rates = self.training.learning_rates
        if rates is None:
            return self.training.learning_rate
        steps = -(-len(self.x) // self.training.batch_size)
        of_epochs: Values = rates[self.first_epoch_steps - 1 + steps * np.arange(epochs)]
        return of_epochs

    def _rate_of_epoch(self, epoch: int) -> float:
        """The learning rate of its last step."""
        steps = -(-len(self.x) // self.training.batch_size)
        return self.training.rate(self.first_epoch_steps - 1 + steps * epoch)

    def _learning_rates(self) -> Values | None:
        """The rates of all steps, before any is made: if one is wrong, nothing has happened."""
        if not callable(self.learning_rate) and not (self.monitor is not None and self.monitor.changes_rates):
            return None
        training, begun_steps = self.training, -(-self.progress.row // self.training.batch_size)
        n_steps = max(0, training.epochs * -(-len(self.x) // training.batch_size) - begun_steps)
        rates = allocate(f"the learning rates of {n_steps} steps", n_steps, np.float64, "take fewer epochs at once")
        if callable(self.learning_rate):
            rates_of_steps(self.learning_rate, training.first_step, rates, self.model.parameters.dtype)
        else:
            rates[:] = self.learning_rate
        return rates

    def _fingerprint(self) -> tuple[int, int, bool, int]:
        """What must be the same to finish an epoch that was begun: the data, their order, parameters and state."""
        slots = () if self.training.state is None else (self.training.state,)
        x = self.x if isinstance(self.x, np.ndarray) else np.array([self.x.digest()], np.uint64)
        order = (self._order(),) if isinstance(self.model, OrderedModel) else ()
        number = checksum(x, self.y, self.model.parameters, *self.weights, *slots, *order)
        return len(self.x), self.training.batch_size, self.training.shuffle, number

    def _order(self) -> Array:
        """In which the epoch at hand visits the rows."""
        training, n_rows, epoch = self.training, len(self.x), self.training.first_epoch + self.progress.epoch
        if isinstance(self.model, OrderedModel):
            return self.model.order(epoch, n_rows)
        return shuffled(training.seed, epoch, n_rows) if training.shuffle else np.arange(n_rows)

    def _explained(self, error: DivergedError) -> DivergedError:
        if self.progress.steps > 0:
            return error
        rows = self._order()[self.progress.row :][: self.training.batch_size]
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
