"""
Training with mini-batches as scikit-learn does it: the order of the rows, learning rates, and when it stops.

Where the loss to report is a multiple of the network's, the backend makes the steps of an epoch in one call. Elsewhere
the loss of each mini-batch is needed, and it makes one step in a call.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..arrays import Array, sum_of_weights
from ..backend import DivergedError
from ..network import Network
from ..progress_bar import ProgressBar
from ..training import Data
from .epochs import Decisions, Epochs
from .holdout import Holdout
from .networks import Objective, sum_of_squares

if TYPE_CHECKING:
    from .base import BaseMLP

#: With the schedule "adaptive", training goes on while the rate is above this; then it is divided by that.
SMALLEST_RATE, RATE_DIVISOR = 1e-6, 5.0


class StochasticRun:
    """
    Trains the network of an estimator, and keeps the estimator's attributes up to date.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Which has a ``network_`` and the attributes that tell of the training so far.
    objective : Objective
    data : Data
        For training. x may be a sparse matrix, in the format csr.
    constants : ndarray (n_samples,), optional
        What the loss to report has more than the objective, for each row.
    holdout : Holdout, optional
        The validation data; with these, training stops early.
    is_incremental : bool
        Whether to train for a single epoch, that of ``partial_fit``.
    """

    def __init__(
        self,
        estimator: BaseMLP,
        objective: Objective,
        data: Data,
        constants: Array | None,
        holdout: Holdout | None,
        is_incremental: bool,
    ) -> None:
        self.estimator = estimator
        self.objective = objective
        self.network: Network = estimator.network_
        self.holdout = holdout
        self.is_incremental = is_incremental
        self.max_epochs = 1 if is_incremental else int(estimator.max_iter)
        self.stops = False
        self._data = data
        self._n_rows = int(data.x.shape[0])
        self._batch_size = batch_size(estimator.batch_size, self._n_rows)
        self._order = np.arange(self._n_rows, dtype=np.uintp)
        self._constants = constants
        self.constant = 0.0 if constants is None else float(constants.mean())
        self._total = self._squares = 0.0  # of the losses to report of the epoch so far, and of weights before a step
        self._bar: ProgressBar | None = None

    @property
    def _changes_rates(self) -> bool:
        solver, schedule = self.estimator.solver, self.estimator.learning_rate
        return isinstance(solver, str) and solver == "sgd" and schedule != "constant"

    def run(self) -> None:
        """
        Trains until it is time to stop.

        Raises
        ------
        ValueError
            If the parameters become infinite or NaN, and there is no best epoch to go back to.
        """
        estimator = self.estimator
        estimator.n_iter_ = 0
        if estimator.progress:
            self._bar = ProgressBar(self.max_epochs, self._n_rows)
        try:
            if self._is_simple():
                self._train_epochs()
            else:
                self._train_batches()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        except DivergedError as error:
            self._go_on_diverged(error)
        else:
            self._warn_of_the_end()
        finally:
            if self._bar is not None:
                self._bar.close()
        if self.holdout is not None and (not self.is_incremental or estimator.stopped_):
            self.network.parameters[:] = estimator._best_parameters

    def _warn_of_the_end(self) -> None:
        if not self.stops and not self.is_incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_epochs}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=7,  # the caller of fit, which scikit-learn wraps
            )

    # ---- Steps -----------------------------------------------------------------------------------------------------

    def _is_simple(self) -> bool:
        """Whether x is an array, and no mini-batch can have only rows of weight 0, with which no step is made."""
        x, _, weight = self._data
        smallest = self._n_rows % self._batch_size or self._batch_size
        return isinstance(x, np.ndarray) and (weight is None or int((weight == 0).sum()) < smallest)

    def _needs_batches(self) -> bool:
        """Whether the loss to report does not follow from that of an epoch."""
        return self._data.weight is not None or not self.objective.is_mean_of_rows

    def _rate(self) -> float | None:
        """The learning rate of the network; None is that of an optimizer of plainnet."""
        estimator = self.estimator
        if not isinstance(estimator.solver, str):
            return None
        return float(estimator._rate * self.objective.factor if estimator.solver == "sgd" else estimator._rate)

    def _next_order(self) -> Array | None:
        """The order of the rows in the next epoch, which continues that of the last one; None is their own."""
        if not self.estimator.shuffle:
            return None
        self.estimator._random_state.shuffle(self._order)
        return self._order

    def _train_epochs(self) -> None:
        """Trains epoch by epoch."""
        watches = (self._step_begin, self._step_end) if self._needs_batches() else (None, None)
        decisions = Decisions(self._next_order, self._rate, self._loss_of_epoch, *watches)
        Epochs(self.network, self._data, self.max_epochs, self._batch_size, decisions).run()

    def _loss_of_epoch(self, loss: float) -> bool:
        if not self._needs_batches():
            return self.epoch_end(self.objective.factor * loss + self.constant)
        return self._epoch_of_batches_end()

    def _epoch_of_batches_end(self) -> bool:
        """After an epoch whose loss to report has been counted step by step."""
        total, self._total = self._total, 0.0
        return self.epoch_end(total / self._n_rows)

    def _step_begin(self) -> None:
        self._squares = 0.0 if self.objective.is_mean_of_rows else sum_of_squares(self.network)

    def _step_end(self, first: int, end: int, loss_sum: float) -> None:
        """Counts the loss to report of a step."""
        rows = self._order[first:end]
        total = self._total_weight(rows)
        loss = loss_sum / self.network._model.loss.denominator(total, self.network._n_out)
        self._total += self._reported(loss, rows, total) * len(rows)

    def _total_weight(self, rows: Array) -> float:
        weight = self._data.weight
        return sum_of_weights(len(rows), None if weight is None else weight[rows])

    def _reported(self, loss: float, rows: Array, total: float) -> float:
        """The loss to report where the network's is `loss`, for rows of this weight in total."""
        constants, weight, constant = self._constants, self._data.weight, 0.0
        if constants is not None:
            constant = float(np.average(constants[rows], weights=None if weight is None else weight[rows]))
        return self.objective.reported(loss, self.estimator.alpha / 2 * self._squares / total) + constant

    def _train_batches(self) -> None:
        """Trains with one mini-batch after the other as an array of its own."""
        x, y, weight = self._data
        while not self.stops and self.estimator.n_iter_ < self.max_epochs:
            self._next_order()
            for start in range(0, self._n_rows, self._batch_size):
                rows = self._order[start : start + self._batch_size]
                total = self._total_weight(rows)
                if total > 0:
                    self._step_begin()
                    batch = np.take(x, rows, axis=0) if isinstance(x, np.ndarray) else x[rows].toarray()
                    batch_weight = None if weight is None else weight[rows]
                    loss = self.network.train_on_batch(batch, y[rows], self._rate(), batch_weight)
                    self._total += self._reported(loss, rows, total) * len(rows)
            self.network.epochs_trained += 1
            self._epoch_of_batches_end()

    # ---- Between epochs --------------------------------------------------------------------------------------------

    def epoch_end(self, loss: float) -> bool:
        """Notes an epoch with this loss; whether training stops."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self._n_rows
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        logs = {"loss": loss}
        if self.holdout is None:
            self._judge_loss()
        else:
            logs |= self._judge_holdout(*self.holdout.measure(self.network))
        if self._changes_rates and estimator.learning_rate == "invscaling":
            self._change_rate(float(estimator.learning_rate_init) / (estimator.t_ + 1) ** estimator.power_t)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._stop_or_slow_down()
        if self._bar is not None:
            self._bar.update(estimator.n_iter_, 0, logs)
        return self.stops

    def _judge_loss(self) -> None:
        """Counts epochs whose loss is no better."""
        estimator = self.estimator
        loss = estimator.loss_
        if loss > estimator.best_loss_ - estimator.tol:
            estimator._no_improvement_count += 1
        else:
            estimator._no_improvement_count = 0
        estimator.best_loss_ = min(loss, estimator.best_loss_)

    def _judge_holdout(self, score: float, loss: float) -> dict[str, float]:
        """Counts epochs whose score is no better, and keeps the best parameters; the numbers by name."""
        estimator = self.estimator
        estimator.validation_scores_.append(score)
        estimator.validation_loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        if score < estimator.best_validation_score_ + estimator.tol:
            estimator._no_improvement_count += 1
        else:
            estimator._no_improvement_count = 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_parameters = self.network.parameters.copy()
        return {"validation_loss": loss, "validation_score": score}

    def _stop_or_slow_down(self) -> None:
        """When no epoch has been better for too long."""
        estimator = self.estimator
        what = "Training loss" if self.holdout is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change:d} consecutive "
            "epochs."
        )
        is_adaptive = self._changes_rates and estimator.learning_rate == "adaptive"
        if is_adaptive and estimator._rate > SMALLEST_RATE:
            self._change_rate(estimator._rate / RATE_DIVISOR)
            estimator._no_improvement_count = 0
            message += f" Setting learning rate to {estimator._rate:f}"
        else:
            message += " Learning rate too small. Stopping." if is_adaptive else " Stopping."
            self.stops = True
            if self.holdout is not None and self.is_incremental:
                estimator.stopped_ = True
        if estimator.verbose:
            print(message)

    def _change_rate(self, rate: float) -> None:
        """
        Sets the learning rate of the steps ahead.

        scikit-learn's velocity is -rate times plainnet's running sum of gradients. It stays as it is when the rate
        changes, and so the sum does not.
        """
        state = self.network._optimizer[1]
        if state is not None:
            state *= self.estimator._rate / rate
        self.estimator._rate = rate

    def _go_on_diverged(self, error: DivergedError) -> None:
        """
        After parameters have become infinite or NaN, all losses and scores are NaN.

        With validation data this is noted for the epochs that were left, and the best epoch counts.
        """
        estimator = self.estimator
        if self.holdout is None or self.is_incremental:
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                f"preprocessed. ({error})"
            ) from error
        for _ in range(self.max_epochs - estimator.n_iter_):
            estimator.n_iter_ += 1
            estimator.t_ += self._n_rows
            estimator.loss_ = math.nan
            estimator.loss_curve_.append(math.nan)
            estimator.validation_scores_.append(math.nan)
            estimator.validation_loss_curve_.append(math.nan)
            estimator._no_improvement_count = 0
        self._warn_of_the_end()


def batch_size(value: Any, n_rows: int) -> int:
    """``batch_size`` for so many rows."""
    if isinstance(value, str):
        return min(200, n_rows)
    if value > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=7
        )
    return min(int(value), n_rows)
