"""What happens at the end of each epoch: validation, metrics, callbacks, and the record of them all."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import LARGE_BYTES, Array, allocate, as_sample_weight, check_targets
from .callbacks import Checkpoint, EarlyStopping, ReduceOnPlateau, as_callbacks
from .conversion import as_switch, shown
from .history import History, Values
from .losses import Loss
from .metrics import Metric, as_metrics
from .optimizers import as_positive
from .progress_bar import ProgressBar
from .streaming import Rows, StreamedModel
from .training import Data
from .unfinished import Logs, Unfinished
from .validation import as_fraction, split

if TYPE_CHECKING:
    from .backend import Backend
    from .network import Network


class Monitor:
    """
    Watches a run.

    Parameters
    ----------
    network : Network
        Which the callbacks receive.
    model : Backend
        That of the network.
    data : Data, optional
        The validation data or, if there are none, the training data, for the metrics.
    is_validation : bool
    metrics : list of Metric
    callbacks : list of object
        See :mod:`plainnet.callbacks`.
    bar : ProgressBar, optional
    resumed : Unfinished, optional
        The run that this one goes on with.

    Raises
    ------
    ValueError
        If that run had other callbacks, or other numbers in its logs.
    """

    def __init__(
        self,
        network: Network,
        model: Backend,
        data: Data | None,
        is_validation: bool,
        metrics: list[Metric],
        callbacks: list[Any],
        bar: ProgressBar | None,
        resumed: Unfinished | None = None,
    ) -> None:
        self._network = network
        self._model = model
        self._data = data
        self._is_validation = is_validation
        self._metrics = metrics
        self._callbacks = callbacks
        self._bar = bar
        self._is_resumed = resumed is not None
        before = resumed or Unfinished()
        self._n_before = before.epochs
        self._logs: list[Logs] = list(before.logs)
        self._n_complete = len(self._logs)  # of these; one more may be of an epoch whose end is not complete
        self._run = dataclasses.replace(before, logs=[])
        self._stopped: list[str] = []
        self._check_resumed()
        self._check_names()
        self._out: Array | None = None
        if metrics and data is not None:
            shape = len(data.x), network.layers[-1].n_out
            self._out = allocate("the predictions for the metrics", shape, network.dtype, "take fewer validation rows")

    @property
    def needs_epochs(self) -> bool:
        """Whether the run must pause at each epoch's end."""
        return self._is_validation or self._is_resumed or bool(self._metrics or self._callbacks)

    @property
    def changes_rates(self) -> bool:
        """Whether some callback decides about learning rates."""
        return any(hasattr(callback, "rate_factor") for callback in self._callbacks)

    @property
    def rate_factor(self) -> float:
        """What the learning rates of the epochs ahead are multiplied by."""
        factors = [
            as_positive(f"rate_factor of the callback {type(callback).__name__}", callback.rate_factor)
            for callback in self._callbacks
            if hasattr(callback, "rate_factor")
        ]
        return float(np.prod(factors))

    def _check_names(self) -> None:
        """Checks that the numbers that callbacks watch are computed."""
        names = ["epoch", "loss", *["validation_loss"] * self._is_validation, "learning_rate"]
        names += [metric.name for metric in self._metrics]
        for callback in self._callbacks:
            if isinstance(callback, EarlyStopping | ReduceOnPlateau):
                callback.check_names(names)

    def _check_resumed(self) -> None:
        """Checks that the run that is resumed had the same callbacks and metrics."""
        if not self._is_resumed:
            return
        names, before = [type(callback).__name__ for callback in self._callbacks], [k for k, _ in self._run.callbacks]
        if names != before:
            raise ValueError(f"resume=True: the run had the callbacks {before}, not {names}")
        names = [*["validation_loss"] * self._is_validation, *(metric.name for metric in self._metrics)]
        before = [name for logs in self._logs[:1] for name in logs if name not in ("epoch", "loss", "learning_rate")]
        if self._logs and names != before:
            raise ValueError(f"resume=True: the run computed {before} after each epoch, not {names}")

    def __enter__(self) -> Monitor:
        """Before the first epoch."""
        states = [state for _, state in self._run.callbacks] or [None] * len(self._callbacks)
        for callback, state in zip(self._callbacks, states, strict=True):
            if state is not None:
                callback.load_state_dict(state)
            elif hasattr(callback, "fit_begin"):
                callback.fit_begin(self._network)
        self._run = self._now(self._run.pending, self._run.stops)
        return self

    def _now(self, pending: tuple[float, float] | None = None, stops: bool = False) -> Unfinished:
        """The run as it is, with what the callbacks keep, but for its logs."""
        states = [
            (type(callback).__name__, callback.state_dict() if hasattr(callback, "load_state_dict") else None)
            for callback in self._callbacks
        ]
        return Unfinished([], pending, stops, states)

    @property
    def unfinished(self) -> Unfinished:
        """The run as of the last epoch whose end is complete."""
        return dataclasses.replace(self._run, logs=self._logs[: self._n_complete])

    @property
    def n_ended(self) -> int:
        """How many epochs of this call have come to their ends, of which the last one may not be complete."""
        return self._n_complete + (self._run.pending is not None) - self._n_before

    def epoch_end(self, loss: float, rate: float) -> bool:
        """After an epoch with this loss; whether the run ends with it."""
        self._run = Unfinished([], (loss, rate), self._run.stops, self._run.callbacks)  # should an exception come
        logs = self._numbers(loss, rate)
        self._logs.append(logs)
        others = [callback for callback in self._callbacks if not isinstance(callback, Checkpoint)]
        ends = [callback for callback in others if callback.epoch_end(self._network, dict(logs))]
        self._stopped = [f"{type(callback).__name__} ended the run after epoch {len(self._logs)}" for callback in ends]
        self._n_complete, self._run = len(self._logs), self._now(stops=bool(ends))
        for callback in self._callbacks:
            if isinstance(callback, Checkpoint):
                callback.epoch_end(self._network, dict(logs))
        return bool(ends)

    def _numbers(self, loss: float, rate: float) -> Logs:
        logs: Logs = {"epoch": len(self._logs) + 1, "loss": loss}
        data = self._data
        if data is not None and (self._is_validation or self._metrics):
            value = self._model.total_loss(data.x, data.y, data.weight, self._out)
            if self._is_validation:
                logs["validation_loss"] = value
            for metric in self._metrics:
                logs[metric.name] = metric.value(data.y, self._out, data.weight)  # type: ignore[arg-type]
        return {**logs, "learning_rate": rate}

    def ended_before(self) -> bool:
        """Whether the run that is resumed ends without another epoch; the end of one may have to be made up for."""
        pending = self._run.pending
        return self.epoch_end(*pending) if pending is not None else self._run.stops

    def advance(self, epoch: int, row: int, losses: Values | list[float]) -> None:
        """When `epoch` epochs, of these losses, and `row` rows of the next one are done."""
        if self._bar is not None:
            logs = self._logs[-1] if self._logs else {"loss": float(losses[epoch - 1])} if epoch > 0 else {}
            self._bar.update(epoch, row, logs)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After the last epoch; if an exception has ended the run, callbacks are not asked."""
        if self._bar is not None:
            self._bar.close()
        if kind is None and self._logs:
            sentences = []
            for callback in self._callbacks:
                if hasattr(callback, "fit_end"):
                    sentences.append(callback.fit_end(self._network, dict(self._logs[-1])))
                    if not isinstance(sentences[-1], str | None):
                        name, found = type(callback).__name__, shown(sentences[-1])
                        raise TypeError(f"fit_end of the callback {name} must return a sentence or None, not {found}")
            self._stopped = [sentence for sentence in sentences if sentence is not None] or self._stopped

    def history(self, loss: Values, rates: Values | float) -> History:
        """The record of the epochs so far."""

        def values(name: str) -> Values:
            return np.array([logs[name] for logs in self._logs], np.float64)

        if self.needs_epochs:
            loss, rates = values("loss"), values("learning_rate")
        metrics = {metric.name: values(metric.name) for metric in self._metrics}
        validation = values("validation_loss") if self._is_validation else None
        best = next((callback.best_epoch for callback in self._callbacks if getattr(callback, "best_epoch", 0)), None)
        return History(loss, rates, validation, metrics, "; ".join(self._stopped) or None, best)


# ---- The arguments of fit --------------------------------------------------------------------------------------------


def watch(
    network: Network,
    data: Data | None,
    aside: Data | None,
    metrics: Any,
    callbacks: Any,
    progress: bool,
    epochs: int,
    resumed: Unfinished | None,
) -> Monitor:
    """
    What watches a run of `network` with `data`, which is None if they come batch by batch.

    The other arguments are those of ``fit``, and are checked here.
    """
    named, watchers = as_metrics(metrics, network._model.loss), as_callbacks(callbacks)
    judged = data if aside is None else aside
    if judged is None and named:
        raise ValueError("metrics need validation=(x, y) where the training data come batch by batch")
    bar = None
    if as_switch("progress", progress):
        bar = ProgressBar(epochs, None if data is None else len(data.x))
    is_streamed = judged is not None and not isinstance(judged.x, np.ndarray)
    model: Any = StreamedModel(network._model) if is_streamed else network._model
    return Monitor(network, model, judged, aside is not None, named, watchers, bar, resumed)


def set_aside(network: Network, validation: Any, data: Data | None) -> tuple[Any, Data]:
    """The training data and the validation data, of which `validation` is the argument of ``fit``."""
    loss = network._model.loss
    if isinstance(validation, (tuple, list)):
        if len(validation) not in (2, 3):
            raise ValueError(f"validation must be (x, y) or (x, y, sample_weight), not {len(validation)} arrays")
        try:
            x, y = network._pair(validation[0], validation[1], by_parts=True)
            weight = as_sample_weight(validation[2] if len(validation) == 3 else None, len(x), network.dtype)
            _check(x, y, loss)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation: {error}") from None
        return data, Data(x, y, weight)
    fraction = as_fraction(validation)
    if data is None:
        raise ValueError("validation must be (x, y) where the training data come batch by batch, and not a fraction")
    _check(data.x, data.y, loss)
    train, aside = split(fraction, data.y, data.weight, loss, network._shuffle_seed)
    parts = (
        Data(_rows(data.x, k), data.y[k], None if data.weight is None else data.weight[k]) for k in (train, aside)
    )
    return next(parts), next(parts)


def _check(x: Array | Rows, y: Array, loss: Loss) -> None:
    (Rows(x, x.dtype) if isinstance(x, np.ndarray) else x).check()
    check_targets(y, loss)


def _rows(x: Array | Rows, chosen: Array) -> Array | Rows:
    """Some rows: a copy of them unless there are many."""
    if isinstance(x, np.ndarray):
        if x.itemsize * x.shape[1] * len(chosen) <= LARGE_BYTES:
            return x[chosen]
        x = Rows(x, x.dtype)
    return x.rows(chosen)
